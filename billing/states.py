"""India's states by the codes that GST gives them, as place of supply and in a GSTIN."""

from __future__ import annotations

from typing import Final

FOREIGN: Final = "96"  # how returns name a place of supply outside India

STATES: Final[dict[str, str]] = {
    "01": "Jammu and Kashmir",
    "02": "Himachal Pradesh",
    "03": "Punjab",
    "04": "Chandigarh",
    "05": "Uttarakhand",
    "06": "Haryana",
    "07": "Delhi",
    "08": "Rajasthan",
    "09": "Uttar Pradesh",
    "10": "Bihar",
    "11": "Sikkim",
    "12": "Arunachal Pradesh",
    "13": "Nagaland",
    "14": "Manipur",
    "15": "Mizoram",
    "16": "Tripura",
    "17": "Meghalaya",
    "18": "Assam",
    "19": "West Bengal",
    "20": "Jharkhand",
    "21": "Odisha",
    "22": "Chhattisgarh",
    "23": "Madhya Pradesh",
    "24": "Gujarat",
    "26": "Dadra and Nagar Haveli and Daman and Diu",
    "27": "Maharashtra",
    "29": "Karnataka",
    "30": "Goa",
    "31": "Lakshadweep",
    "32": "Kerala",
    "33": "Tamil Nadu",
    "34": "Puducherry",
    "35": "Andaman and Nicobar Islands",
    "36": "Telangana",
    "37": "Andhra Pradesh",
    "38": "Ladakh",
    "97": "Other Territory",
}

# Territories without a legislature: the state's half of the tax is called UTGST there.
UNION: Final = frozenset({"04", "26", "31", "35", "38", "97"})

# Codes that old registrations still carry: Daman and Diu joined its neighbour, Andhra Pradesh was divided.
_SUCCESSORS: Final = {"25": "26", "28": "37"}


def state_of(code: str) -> str | None:
    """The code in use today for ``code``; None when it names no state."""
    code = _SUCCESSORS.get(code, code)
    return code if code in STATES else None


def name_of(code: str) -> str:
    """The state's name; for the code of foreign countries what invoices call them, else nothing."""
    return "Outside India" if code == FOREIGN else STATES.get(code, "")
