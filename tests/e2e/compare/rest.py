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
        form = {"grant_type": "client_credentials", **{key: entry[key] for key in ("client_id", "client_secret")}}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self._call("POST", "/services/oauth2/token", urllib.parse.urlencode(form), headers)
        self._headers = {"Authorization": f"Bearer {json.loads(answer or b'')['access_token']}"}

    def get(self, path: str) -> bytes | None:
        """An answer below the version's address; None for what is not there."""
        return self._call("GET", f"/services/data/{VERSION}/{path}", None, self._headers)

    def json(self, path: str) -> Any:
        """The same as JSON."""
        answer = self.get(path)
        return None if answer is None else json.loads(answer)

    def body(self, name: str, record: str, field: str) -> bytes | None:
        """The body of a file."""
        return self.get(f"sobjects/{name}/{record}/{field}")

    def _call(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> bytes | None:
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            # The server may end what was idle for long.
            self._connection.close()
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        content = answer.read()
        if answer.status == http.client.NOT_FOUND:
            return None
        if answer.status != http.client.OK:
            raise LookupError(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
        return content
