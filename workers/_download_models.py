"""What a download takes and gives back: one file, or a batch of records."""

import posixpath
import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from workers._cookies import CookieForms, read_cookies
from workplatform.errors import UrlForbiddenError
from workplatform.headers import check_headers
from workplatform.models import SECRET, Payload, Result, WireModel
from workplatform.urls import http_url

# They say which part of the file comes; the downloader resumes by them.
_OUR_HEADERS: Final = ("range", "if-range")
_KIND: Final = re.compile(r"[\w.+*-]+/[\w.+*-]+(\s*,\s*[\w.+*-]+/[\w.+*-]+)*")
_RECORDS: Final = 1000


def _http_url(url: str) -> str:
    try:
        http_url(url)
    except UrlForbiddenError as error:
        raise ValueError(error.message) from error
    return url


def _or_none(value: str | None) -> str | None:
    """Take an empty text, as callers send for what they do not know, for nothing."""
    return _http_url(value) if value else None


Url = Annotated[str, Field(max_length=8000), AfterValidator(_http_url)]
PageUrl = Annotated[str | None, Field(max_length=8000), AfterValidator(_or_none)]
Place = Annotated[str, Field(min_length=1, max_length=4000)]


class DownloadRecord(WireModel):
    """One file of a batch. Callers pass their whole records: what else they hold is ignored."""

    model_config = ConfigDict(extra="ignore")

    id: str | int = Field(description="The caller's name for it, given back in the results", examples=["a1b2"])
    file_url: Url = Field(description="The file", examples=["https://cdn.example.com/a1b2.mp4"])
    page_url: PageUrl = Field(None, description="The page that shows it", examples=["https://example.com/a1b2"])
    backup_path: Place = Field(description="Where it goes, below dataDir", examples=["videos/a1b2.mp4"])

    @field_validator("backup_path")
    @classmethod
    def _stays_below(cls, value: str) -> str:
        inside = posixpath.normpath(value.lstrip("/"))
        if inside == "." or inside.startswith(".."):
            raise ValueError("must stay inside dataDir")
        return inside


class DownloadPayload(Payload):
    """Which file, where to, and what it must be; or many at once, as `records`."""

    url: Url | None = Field(None, description="The file; http or https", examples=["https://example.com/file.mp4"])
    file_url: Url | None = Field(
        None, description="Another name for url, beside pageUrl", examples=["https://cdn.example.com/file.mp4"]
    )
    output_path: Place | None = Field(
        None, description="Where it goes; in a folder its own name is kept", examples=["videos/file.mp4"]
    )
    dest_path: Place | None = Field(None, description="Another name for outputPath", examples=["videos/file.mp4"])
    page_url: PageUrl = Field(
        None,
        description="The page that links to the file: sent as Referer, and what the browser visits",
        examples=["https://example.com/watch/1"],
    )
    referer: PageUrl = Field(
        None, description="Page sent as Referer; default: pageUrl", examples=["https://example.com/watch/1"]
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        max_length=50,
        description="Further headers for the file's host; shown masked",
        examples=[{"Authorization": "Bearer abc"}],
        json_schema_extra=SECRET,
    )
    cookies: CookieForms | None = Field(
        None,
        description="Cookies: the text of a Cookie header, objects with name, value and domain, or a mapping; "
        "shown masked",
        examples=["session=8f3a; over18=true", {"session": "8f3a"}],
        json_schema_extra=SECRET,
    )
    use_puppeteer: bool | None = Field(
        None,
        description="Visit pageUrl (or the Referer) in a browser first: true always, false never; default: where the "
        "host refuses the file, or gives a page instead, and a browser is installed",
        examples=[True],
    )
    records: tuple[DownloadRecord, ...] | None = Field(
        None,
        min_length=1,
        max_length=_RECORDS,
        description="Many files side by side, instead of url and outputPath",
        examples=[[{"id": "a1", "fileUrl": "https://cdn.example.com/a1.mp4", "backupPath": "videos/a1.mp4"}]],
    )
    data_dir: Place | None = Field(None, description="Folder of the records' backupPath", examples=["data"])
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-fA-F]{64}$",
        description="SHA-256 that the file must have, in hexadecimal",
        examples=["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    )
    max_bytes: int | None = Field(None, ge=1, description="Largest size in bytes", examples=[2_000_000_000])
    min_bytes_per_second: int = Field(
        default=100, ge=0, description="A slower pace over 15 s ends the attempt; 0 allows any", examples=[10_000]
    )
    expect_type: str | None = Field(
        None,
        max_length=200,
        description="Media type that it must have, such as video/*; default: told from the name of the output",
        examples=["video/*"],
    )

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        return check_headers(headers, also_ours=_OUR_HEADERS)

    @field_validator("cookies")
    @classmethod
    def _are_cookies(cls, cookies: CookieForms | None) -> CookieForms | None:
        read_cookies(cookies)
        return cookies

    @field_validator("expect_type")
    @classmethod
    def _is_a_media_type(cls, kind: str | None) -> str | None:
        if kind is not None and not _KIND.fullmatch(kind):
            raise ValueError("must be a media type such as video/* or image/png")
        return kind

    @model_validator(mode="after")
    def _is_one_form(self) -> Self:
        if self.records is not None:
            self._check_batch(self.records)
        else:
            self._check_single()
        if self.use_puppeteer and not all(self.pages):
            raise ValueError("usePuppeteer needs pageUrl, or a referer: the page that the browser visits")
        return self

    def _check_batch(self, records: tuple[DownloadRecord, ...]) -> None:
        singles = ("url", "file_url", "output_path", "dest_path", "page_url", "referer", "sha256")
        given = [str(type(self).model_fields[name].alias) for name in singles if getattr(self, name) is not None]
        if given:
            raise ValueError(f"{', '.join(given)} cannot be given beside records: each record says its own")
        if self.data_dir is None:
            raise ValueError("records need dataDir, the folder of their backupPath")
        places: dict[str, int] = {}
        for number, record in enumerate(records):
            twin = places.setdefault(record.backup_path, number)
            if twin != number:
                raise ValueError(f"records {twin} and {number} have the same backupPath {record.backup_path!r}")

    def _check_single(self) -> None:
        if self.data_dir is not None:
            raise ValueError("dataDir is for records; name the file by outputPath")
        for names, values, meaning in (
            (("url", "fileUrl"), (self.url, self.file_url), "the file"),
            (("outputPath", "destPath"), (self.output_path, self.dest_path), "where it goes"),
        ):
            count = sum(value is not None for value in values)
            if count == 0:
                raise ValueError(f"{names[0]} (or {names[1]}) is required: {meaning}; or give records and dataDir")
            if count == 2:
                raise ValueError(f"{names[0]} and {names[1]} both say {meaning}: give one of them")

    @property
    def pages(self) -> list[str | None]:
        """The page of each file."""
        return [self.page] if self.records is None else [record.page_url or self.page for record in self.records]

    @property
    def page(self) -> str | None:
        """The page that the browser visits: pageUrl, or else the Referer, also as a header."""
        given = next((value for name, value in self.headers.items() if name.lower() == "referer"), None)
        return self.page_url or self.referer or given


def _is_none(value: object) -> bool:
    return value is None


class RecordResult(WireModel):
    """What became of one record."""

    id: str | int = Field(description="The record's id", examples=["a1b2"])
    success: bool = Field(description="Whether its file arrived", examples=[True])
    size: int | None = Field(None, description="Bytes", examples=[8_211_442], exclude_if=_is_none)
    error: str | None = Field(None, description="Why it did not", exclude_if=_is_none)
    error_code: str | None = Field(None, description="The same as a code, see docs/errors.md", exclude_if=_is_none)


class DownloadResult(Result):
    """The file that arrived, or what became of each record; the other form's fields are left out."""

    # callers of batches read a number there
    success: bool | int = Field(  # type: ignore[assignment]
        default=True, description="true; for records the number that arrived", examples=[True]
    )
    output_path: str | None = Field(None, description="The file", examples=["videos/file.mp4"], exclude_if=_is_none)
    path: str | None = Field(
        None, description="The same, for callers of destPath", examples=["videos/file.mp4"], exclude_if=_is_none
    )
    size: int | None = Field(None, description="Bytes", examples=[8_211_442], exclude_if=_is_none)
    content_type: str | None = Field(
        None, description="Media type, by the server or by the first bytes", examples=["video/mp4"], exclude_if=_is_none
    )
    resumed_bytes: int | None = Field(
        None, description="Bytes that an earlier attempt had fetched", examples=[0], exclude_if=_is_none
    )
    total: int | None = Field(None, description="Number of records", examples=[2], exclude_if=_is_none)
    failed: int | None = Field(None, description="Records that did not arrive", examples=[1], exclude_if=_is_none)
    results: tuple[RecordResult, ...] | None = Field(
        None,
        description="What became of each record, in their order",
        examples=[[{"id": "a1", "success": True, "size": 8_211_442}]],
        exclude_if=_is_none,
    )
