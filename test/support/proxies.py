"""nginx before a service, as others have it: a reverse proxy below path prefixes, and one that ends HTTPS."""

import shutil
import subprocess

from postgres import free_port, wait_until
from program import Program

PREFIXES = ["/one/", "/one/two/"]
CONFIGURATION = """
daemon off; pid proxy.pid; error_log stderr warn;
events {{ }}
http {{
    access_log off;
    client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    server {{
        {server}
    }}
}}
"""


class Proxy(Program):
    """nginx with one server, whose listen line and locations it gets."""

    def __init__(self, server):
        super().__init__("proxy")
        (self.folder / "proxy.conf").write_text(CONFIGURATION.format(server=server))
        make_certificate(self.folder)
        self.start([shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-p", f"{self.folder}/", "-c", "proxy.conf", "-e", "stderr",
                    "-g", "worker_processes 1;"])
        wait_until(lambda: (self.folder / "proxy.pid").exists() or self.process.poll() is not None, 10, "the proxy")
        assert self.process.poll() is None, self.output()


class PrefixProxy(Proxy):
    """Serves a service under path prefixes, which it strips: nothing is at its own top."""

    def __init__(self, service):
        self.port = free_port()
        locations = "\n".join(f"location {prefix} {{ proxy_pass http://127.0.0.1:{service.port}/; }}" for prefix in PREFIXES)
        super().__init__(f"listen 127.0.0.1:{self.port}; {locations}")


class Front(Proxy):
    """HTTPS before a service, as a load balancer ends it."""

    def __init__(self, service_port, port):
        self.url = f"https://localhost:{port}"
        super().__init__(f"""
            listen 127.0.0.1:{port} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
            proxy_buffer_size 32k; proxy_busy_buffers_size 64k; proxy_buffers 4 32k;
            location / {{ proxy_pass http://127.0.0.1:{service_port}; proxy_set_header Host $http_host; }}""")


def make_certificate(folder, certificate="cert.pem", key="key.pem"):
    """A certificate for localhost that it signs itself, and its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / key,
                    "-out", folder / certificate], check=True, capture_output=True)
