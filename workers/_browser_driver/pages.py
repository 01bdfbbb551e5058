"""One visit: a page in a context of its own, watched until it has set its cookies and gone quiet."""

import asyncio
import json
import re
import time
from typing import Any
from urllib.parse import urlsplit

from pyppeteer.browser import Browser, BrowserContext
from pyppeteer.errors import NetworkError
from pyppeteer.page import Page

from .activity import Activity
from .orders import Order, Told

_LOOK_S = 0.1
_ANSWER_S = 2.0
_SOON_S = 15.0
# What the usual guards put into their title while they look at the browser.
_CHALLENGE = re.compile(
    r"just a moment|checking (your|the) (browser|site)|attention required|ddos[- ]?(protection|guard)|"
    r"verify(ing)? (that )?you are|are you (a )?(human|robot)|security check|please wait|one moment|access check|"
    r"человек|安全检查|请稍候|請稍候|少々お待ち",
    re.IGNORECASE,
)
_STATE = """JSON.stringify({
  title: document.title,
  refresh: (document.querySelector('meta[http-equiv="refresh" i]') || {content: ''}).content,
})"""
_NOT_PASSED_ON = {
    "host",
    "cookie",
    "content-length",
    "connection",
    "user-agent",
    "referer",
    "accept-encoding",
    "range",
}
_PAGE_KINDS = ("text/html", "application/xhtml", "text/plain")


class Visitor:
    """Makes the visits in one browser."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._connection = browser._connection

    async def visit(self, order: Order) -> Told:
        """Visit a page and tell what it left behind; nothing of it stays, however the visit ends."""
        context = await self._new_context(order)
        try:
            page = await context.newPage()
            return await _Visit(order, self._browser, context, page).run()
        finally:
            await asyncio.shield(self._dispose(context))

    async def _new_context(self, order: Order) -> BrowserContext:
        made = await self._connection.send(
            "Target.createBrowserContext", {"proxyServer": order.proxy, "proxyBypassList": "<-loopback>"}
        )
        context = BrowserContext(self._browser, made["browserContextId"])
        self._browser._contexts[context._id] = context
        await self._connection.send(
            "Browser.setDownloadBehavior", {"behavior": "deny", "browserContextId": context._id}
        )
        return context

    async def _dispose(self, context: BrowserContext) -> None:
        try:
            await context.close()
        except (NetworkError, ConnectionError):
            return  # it went with its browser


class _Visit:
    def __init__(self, order: Order, browser: Browser, context: BrowserContext, page: Page) -> None:
        self._order = order
        self._connection = browser._connection
        self._context = context
        self._page = page
        self._client = page._client
        self._activity = Activity()
        self._told = Told(order.id, order.url)
        self._has_arrived = False
        self._is_crashed = False

    async def run(self) -> Told:
        """Go to the page, wait for it, and read its cookies."""
        try:
            await asyncio.wait_for(self._prepare(), self._order.waits.limit_s)
            await asyncio.wait_for(self._go(), self._order.waits.limit_s)
        except TimeoutError:
            self._told.failure = "no answer in time"
        if not self._told.failure:
            await self._settle()
        if self._is_crashed:
            self._told.failure = "the page crashed"
        self._told.cookies = await self._cookies()
        return self._told

    async def _prepare(self) -> None:
        order, client = self._order, self._client
        client.on("Network.requestWillBeSent", self._on_request)
        client.on("Network.responseReceived", self._on_response)
        client.on("Network.loadingFinished", lambda event: self._activity.end(event["requestId"]))
        client.on("Network.loadingFailed", lambda event: self._activity.end(event["requestId"]))
        client.on("Fetch.requestPaused", lambda event: self._later(self._resume(event)))
        client.on("Inspector.targetCrashed", self._on_crash)
        self._page.on("dialog", lambda dialog: self._later(dialog.dismiss()))
        self._told.user_agent = order.user_agent or (await self._connection.send("Browser.getVersion"))["userAgent"]
        self._told.user_agent = self._told.user_agent.replace("HeadlessChrome", "Chrome")
        await client.send("Network.setUserAgentOverride", {"userAgent": self._told.user_agent})
        patterns = [{"urlPattern": "*", "resourceType": "Document", "requestStage": "Response"}]
        if order.headers:
            patterns += [{"urlPattern": f"*://{host}*", "requestStage": "Request"} for host in order.hosts]
        await client.send("Fetch.enable", {"patterns": patterns})
        if order.cookies:
            await self._connection.send(
                "Storage.setCookies", {"cookies": order.cookies, "browserContextId": self._context._id}
            )

    async def _go(self) -> None:
        where = {"url": self._order.url} | ({"referrer": self._order.referer} if self._order.referer else {})
        went = await self._client.send("Page.navigate", where)
        if went.get("errorText") and not self._has_arrived:
            self._told.failure = went["errorText"]

    async def _settle(self) -> None:
        """Wait until the page is done: quiet, no challenge, and with a cookie for the file if one comes at all."""
        started = time.monotonic()
        before: object = None
        while not (self._has_arrived or self._is_crashed):
            seen = await self._look()
            cookies = await self._cookies(self._order.file_url)
            now = (seen, sorted((cookie["name"], cookie["value"]) for cookie in cookies))
            if now != before:
                before = now
                self._activity.note()
            elapsed = time.monotonic() - started
            is_over = elapsed > (
                self._order.waits.limit_s if self._told.is_challenge else min(_SOON_S, self._order.waits.limit_s)
            )
            if is_over or (not self._told.is_challenge and self._is_quiet(has_cookie=bool(cookies))):
                return
            await asyncio.sleep(_LOOK_S)

    def _is_quiet(self, *, has_cookie: bool) -> bool:
        is_calm = has_cookie and not self._activity.open_requests
        return self._activity.quiet_s >= (self._order.waits.quiet_s if is_calm else self._order.waits.patience_s)

    async def _look(self) -> tuple[str, str]:
        """Return the page's title and what it is about to be replaced by; a page that is busy answers neither."""
        try:
            answer = await asyncio.wait_for(
                self._client.send("Runtime.evaluate", {"expression": _STATE, "returnByValue": True}), _ANSWER_S
            )
            state: dict[str, str] = json.loads(answer["result"]["value"])
        except (TimeoutError, NetworkError, ConnectionError, KeyError, ValueError):
            self._activity.note()
            return self._told.title, ""
        self._told.title = state["title"]
        self._told.is_challenge = bool(_CHALLENGE.search(state["title"])) or _refreshes_soon(state["refresh"])
        return state["title"], state["refresh"]

    async def _cookies(self, url: str | None = None) -> list[dict[str, Any]]:
        """Return the cookies of the whole visit, or those that a request for `url` would carry."""
        if url is not None:
            return list((await self._client.send("Network.getCookies", {"urls": [url]}))["cookies"])
        found = await self._connection.send("Storage.getCookies", {"browserContextId": self._context._id})
        return list(found["cookies"])

    async def _resume(self, paused: dict[str, Any]) -> None:
        """Let a request go on with the caller's headers, and a document unless it is the file itself."""
        request = {"requestId": paused["requestId"]}
        is_answer = "responseStatusCode" in paused or "responseErrorReason" in paused
        if is_answer and paused.get("frameId") == self._page.mainFrame._id and _is_file(paused):
            self._has_arrived = True
            await self._send("Fetch.failRequest", request | {"errorReason": "Aborted"})
            return
        extra = {} if is_answer else self._headers_for(paused["request"]["url"])
        if extra:
            sent = {name: value for name, value in paused["request"]["headers"].items() if name.lower() not in extra}
            merged = [{"name": name, "value": value} for name, value in (sent | extra).items()]
            await self._send("Fetch.continueRequest", request | {"headers": merged})
            return
        await self._send("Fetch.continueRequest", request)

    def _headers_for(self, url: str) -> dict[str, str]:
        if (urlsplit(url).hostname or "") not in self._order.hosts:
            return {}
        named = {name.lower(): value for name, value in self._order.headers.items()}
        return {name: value for name, value in named.items() if name not in _NOT_PASSED_ON}

    async def _send(self, method: str, params: dict[str, Any]) -> None:
        try:
            await self._client.send(method, params)
        except (NetworkError, ConnectionError):
            return  # the page has gone on without it

    def _on_request(self, event: dict[str, Any]) -> None:
        self._activity.begin(event["requestId"])
        if event.get("type") == "Document" and event.get("frameId") == self._page.mainFrame._id:
            self._told.url = event["request"]["url"]

    def _on_response(self, event: dict[str, Any]) -> None:
        if event.get("type") == "Document" and event.get("frameId") == self._page.mainFrame._id:
            self._told.status = event["response"]["status"]

    def _on_crash(self, _event: object) -> None:
        self._is_crashed = True

    def _later(self, work: Any) -> None:
        self._activity.keep(asyncio.ensure_future(work))


def _is_file(paused: dict[str, Any]) -> bool:
    """Whether a document is none: it is to be saved, or of a kind that a page is not made of."""
    if not 200 <= paused.get("responseStatusCode", 0) < 300:
        return False
    headers = {item["name"].lower(): item["value"].lower() for item in paused.get("responseHeaders", ())}
    kind = headers.get("content-type", "text/html")
    return headers.get("content-disposition", "").startswith("attachment") or not kind.startswith(_PAGE_KINDS)


def _refreshes_soon(content: str) -> bool:
    delay = re.match(r"\s*(\d+)", content)
    return delay is not None and int(delay[1]) <= _SOON_S
