"""A reverse proxy that serves a service under path prefixes, which it strips."""

import pathlib
import shutil
import subprocess
import tempfile

from postgres import free_port, wait_until

PREFIXES = ["/one/", "/one/two/"]
CONFIGURATION = """
daemon off; pid proxy.pid; error_log stderr warn;
events {{ }}
http {{
    access_log off;
    client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""


class PrefixProxy:
    """nginx before a service, as somebody else's configuration has it: nothing at its own top."""

    def __init__(self, service):
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coworking-test-proxy."))
        locations = "\n".join(f"location {prefix} {{ proxy_pass http://127.0.0.1:{service.port}/; }}" for prefix in PREFIXES)
        (self.folder / "proxy.conf").write_text(CONFIGURATION.format(port=self.port, locations=locations))
        self.process = subprocess.Popen([shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-p", f"{self.folder}/", "-c", "proxy.conf",
                                         "-e", "stderr", "-g", "worker_processes 1;"], stderr=subprocess.PIPE)
        wait_until(lambda: (self.folder / "proxy.pid").exists() or self.process.poll() is not None, 10, "the proxy")

    def close(self):
        """Ends it."""
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder)
