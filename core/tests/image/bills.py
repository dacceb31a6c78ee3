"""Judges bills of materials: bills.py SPDX CYCLONEDX, by SPDX's own tools and
CycloneDX's own schema."""

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

messages = validate_full_spdx_document(parse_file(sys.argv[1]), "SPDX-2.3")
assert not messages, [message.validation_message for message in messages]
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(sys.argv[2]).read_text())
assert error is None, error
