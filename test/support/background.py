"""What goes on beside a test, in threads of its own, from `with` to its end."""

import threading


class Background:
    """Jobs, each a function and its arguments, that end soon after `stopping` is set."""

    def __init__(self, *jobs, patience=30):
        self.stopping = threading.Event()
        self._patience = patience
        self._threads = [threading.Thread(target=job, args=arguments, daemon=True) for job, *arguments in jobs]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self._threads:
            thread.join(self._patience)
        assert not any(thread.is_alive() for thread in self._threads), f"{type(self).__name__}: something hangs"
