"""The org's own APIs, as one more client: for what ground truth does not tell, bodies of files and transcripts."""

import http.client
import json
import ssl
import urllib.parse
from typing import Any

VERSION = "v66.0"


class Rest:
    """A signed-in client. Its calls count as any other's."""

    def __init__(self, entry: dict[str, Any], ca: str) -> None:
        address = urllib.parse.urlsplit(entry["instance_url"])
        trusted = ssl.create_default_context(cafile=ca)
        self._connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, context=trusted, timeout=60
        )
        keys = {key: entry[key] for key in ("client_id", "client_secret")}
        self._form = urllib.parse.urlencode({"grant_type": "client_credentials", **keys})
        self._headers: dict[str, str] = {}

    def _sign_in(self) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, answer = self._ask("POST", "/services/oauth2/token", self._form, headers)
        if status != http.client.OK:
            raise LookupError(f"no token: {status}")
        self._headers = {"Authorization": f"Bearer {json.loads(answer)['access_token']}"}

    def get(self, path: str) -> bytes | None:
        """An answer below the version's address; None for what is not there. A session that ended is begun anew."""
        path = f"/services/data/{VERSION}/{path}"
        status, content = self._ask("GET", path, None, self._headers)
        if status == http.client.UNAUTHORIZED:
            self._sign_in()
            status, content = self._ask("GET", path, None, self._headers)
        if status == http.client.NOT_FOUND:
            return None
        if status != http.client.OK:
            raise LookupError(f"GET {path}: {status} {content[:500].decode(errors='replace')}")
        return content

    def json(self, path: str) -> Any:
        """The same as JSON."""
        answer = self.get(path)
        return None if answer is None else json.loads(answer)

    def body(self, name: str, record: str, field: str) -> bytes | None:
        """The body of a file."""
        return self.get(f"sobjects/{name}/{record}/{field}")

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            # The server may end what was idle for long.
            self._connection.close()
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        return answer.status, answer.read()
