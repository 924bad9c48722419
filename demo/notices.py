"""What MITRE's terms of use ask every copy of ATT&CK to carry, word for word."""

LICENSE = (
    "The MITRE Corporation (MITRE) hereby grants you a non-exclusive, royalty-free license to use "
    "ATT&CK® for research, development, and commercial purposes. Any copy you make for such "
    "purposes is authorized provided that you reproduce MITRE's copyright designation and this "
    "license in any such copy."
)
COPYRIGHT = (
    "© 2025 The MITRE Corporation. This work is reproduced and distributed with the permission of "
    "The MITRE Corporation."
)
TERMS_URL = "https://attack.mitre.org/resources/legal-and-branding/terms-of-use/"
CHANGES = (
    "Descriptions are shortened by the data package; links, citations and markup were taken out of "
    "them, and detection strategies are described by their analytics."
)
