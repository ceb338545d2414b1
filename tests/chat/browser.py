"""A browser's session without a browser: cookies after signing in by the form, and the forms of its pages."""

from __future__ import annotations

import re
import ssl

import httpx

from tests.servers.site import Newcomer, Site, some_address


class Browser:
    """Somebody signed in at a site; `.http` carries the cookies and the token of the chat page."""

    def __init__(self, site: Site, user: Newcomer, *, url: str = "", verify: ssl.SSLContext | bool = True) -> None:
        """``url`` is where the site is reached when that is not its own port, ``verify`` whom to trust there."""
        self.site, self.user = site, user
        url = url or site.url
        self.http = httpx.Client(
            base_url=url,
            follow_redirects=False,
            timeout=60,
            verify=verify,
            headers={"X-Forwarded-For": some_address(), "Origin": url, "Referer": url + "/c"},
        )
        answer = self.submit("/login", login=user.email, password=user.password)
        assert answer.status_code == 302, answer.text[:500]
        found = re.search(r'name="csrf-token" content="([^"]+)"', self.http.get("/c").text)
        assert found
        self.http.headers["X-CSRFToken"] = found.group(1)

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """The form of a page, filled in."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.http.get(path).text)
        assert token, path
        return self.http.post(path, data={"csrfmiddlewaretoken": token.group(1)} | fields)

    @property
    def cookies(self) -> str:
        """The Cookie header that it sends."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies.jar)
