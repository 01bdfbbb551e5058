"""Names of languages: from what media files call them (ISO 639-2) to what players expect (BCP 47), and to words."""

import re

# ISO 639-2/T code, ISO 639-1 code, name in English.
_TABLE = """
aar aa Afar|abk ab Abkhazian|afr af Afrikaans|aka ak Akan|amh am Amharic|ara ar Arabic|arg an Aragonese
asm as Assamese|ava av Avaric|ave ae Avestan|aym ay Aymara|aze az Azerbaijani|bak ba Bashkir|bam bm Bambara
bel be Belarusian|ben bn Bengali|bis bi Bislama|bod bo Tibetan|bos bs Bosnian|bre br Breton|bul bg Bulgarian
cat ca Catalan|ces cs Czech|cha ch Chamorro|che ce Chechen|chu cu Church Slavic|chv cv Chuvash|cor kw Cornish
cos co Corsican|cre cr Cree|cym cy Welsh|dan da Danish|deu de German|div dv Divehi|dzo dz Dzongkha|ell el Greek
eng en English|epo eo Esperanto|est et Estonian|eus eu Basque|ewe ee Ewe|fao fo Faroese|fas fa Persian|fij fj Fijian
fin fi Finnish|fra fr French|fry fy Western Frisian|ful ff Fulah|gla gd Gaelic|gle ga Irish|glg gl Galician|glv gv Manx
grn gn Guarani|guj gu Gujarati|hat ht Haitian|hau ha Hausa|heb he Hebrew|her hz Herero|hin hi Hindi|hmo ho Hiri Motu
hrv hr Croatian|hun hu Hungarian|hye hy Armenian|ibo ig Igbo|ido io Ido|iii ii Sichuan Yi|iku iu Inuktitut
ile ie Interlingue|ina ia Interlingua|ind id Indonesian|ipk ik Inupiaq|isl is Icelandic|ita it Italian|jav jv Javanese
jpn ja Japanese|kal kl Kalaallisut|kan kn Kannada|kas ks Kashmiri|kat ka Georgian|kau kr Kanuri|kaz kk Kazakh
khm km Khmer|kik ki Kikuyu|kin rw Kinyarwanda|kir ky Kyrgyz|kom kv Komi|kon kg Kongo|kor ko Korean|kua kj Kuanyama
kur ku Kurdish|lao lo Lao|lat la Latin|lav lv Latvian|lim li Limburgish|lin ln Lingala|lit lt Lithuanian
ltz lb Luxembourgish|lub lu Luba-Katanga|lug lg Ganda|mah mh Marshallese|mal ml Malayalam|mar mr Marathi
mkd mk Macedonian|mlg mg Malagasy|mlt mt Maltese|mon mn Mongolian|mri mi Maori|msa ms Malay|mya my Burmese|nau na Nauru
nav nv Navajo|nbl nr South Ndebele|nde nd North Ndebele|ndo ng Ndonga|nep ne Nepali|nld nl Dutch
nno nn Norwegian Nynorsk|nob nb Norwegian Bokmål|nor no Norwegian|nya ny Chichewa|oci oc Occitan|oji oj Ojibwa
ori or Oriya|orm om Oromo|oss os Ossetian|pan pa Punjabi|pli pi Pali|pol pl Polish|por pt Portuguese|pus ps Pashto
que qu Quechua|roh rm Romansh|ron ro Romanian|run rn Rundi|rus ru Russian|sag sg Sango|san sa Sanskrit|sin si Sinhala
slk sk Slovak|slv sl Slovenian|sme se Northern Sami|smo sm Samoan|sna sn Shona|snd sd Sindhi|som so Somali
sot st Southern Sotho|spa es Spanish|sqi sq Albanian|srd sc Sardinian|srp sr Serbian|ssw ss Swati|sun su Sundanese
swa sw Swahili|swe sv Swedish|tah ty Tahitian|tam ta Tamil|tat tt Tatar|tel te Telugu|tgk tg Tajik|tgl tl Tagalog
tha th Thai|tir ti Tigrinya|ton to Tonga|tsn tn Tswana|tso ts Tsonga|tuk tk Turkmen|tur tr Turkish|twi tw Twi
uig ug Uyghur|ukr uk Ukrainian|urd ur Urdu|uzb uz Uzbek|ven ve Venda|vie vi Vietnamese|vol vo Volapük|wln wa Walloon
wol wo Wolof|xho xh Xhosa|yid yi Yiddish|yor yo Yoruba|zha za Zhuang|zho zh Chinese|zul zu Zulu
"""
# The bibliographic codes (ISO 639-2/B), which DVDs and Matroska files have, to the terminological ones.
_BIBLIOGRAPHIC = {
    "alb": "sqi",
    "arm": "hye",
    "baq": "eus",
    "bur": "mya",
    "chi": "zho",
    "cze": "ces",
    "dut": "nld",
    "fre": "fra",
    "geo": "kat",
    "ger": "deu",
    "gre": "ell",
    "ice": "isl",
    "mac": "mkd",
    "mao": "mri",
    "may": "msa",
    "per": "fas",
    "rum": "ron",
    "scr": "hrv",
    "scc": "srp",
    "slo": "slk",
    "tib": "bod",
    "wel": "cym",
}
# Codes that say that the language is not known, or that there is none or more than one.
_NO_LANGUAGE = frozenset({"", "und", "mis", "mul", "zxx", "unk", "qaa"})
_ENTRIES = [entry.split(" ", 2) for entry in _TABLE.strip().replace("\n", "|").split("|")]
_SHORT = {long: short for long, short, _ in _ENTRIES}
_NAMES = {short: name for _, short, name in _ENTRIES}
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


def language_tag(code: str | None) -> str | None:
    """Return the BCP 47 tag of a language as a file names it, in the shortest form; None if that says no language."""
    text = (code or "").strip().replace("_", "-")
    primary, _, rest = text.partition("-")
    primary = primary.lower()
    if primary in _NO_LANGUAGE or not _TAG.fullmatch(text):
        return None
    primary = _BIBLIOGRAPHIC.get(primary, primary)
    short = _SHORT.get(primary, primary)
    return f"{short}-{rest}" if rest else short


def language_name(tag: str) -> str:
    """Return the name of a language in English; the tag itself where it is a rare one."""
    primary, _, rest = tag.partition("-")
    name = _NAMES.get(primary, primary)
    return f"{name} ({rest})" if rest else name
