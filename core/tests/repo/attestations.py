"""Reads what was signed about a release as in-toto's own tools do.

attestations.py PUBLIC-KEY FILE...: says of each file what it holds, or fails.
"""

import json
import sys
from pathlib import Path

from google.protobuf import json_format
from in_toto.models.metadata import Metablock
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.predicates.vsa.v1.vsa_pb2 import VerificationSummary
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Written
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PREDICATES = {
    "https://slsa.dev/provenance/v1": Provenance,
    "https://slsa.dev/verification_summary/v1": VerificationSummary,
}

key = SSlibKey.from_crypto(load_pem_public_key(Path(sys.argv[1]).read_bytes()))
for name in sys.argv[2:]:
    text = Path(name).read_text()
    if name.endswith(".link"):
        block = Metablock.from_dict(json.loads(text))
        block.verify_signature({"keyid": key.keyid, **key.to_dict()})
        print("link", block.signed.name, *sorted(block.signed.products))
        continue
    envelope = Envelope.from_dict(json.loads(text))
    envelope.verify([key], 1)
    assert envelope.payload_type == "application/vnd.in-toto+json"
    statement = json_format.Parse(envelope.payload, Written())
    Statement.copy_from_pb(statement).validate()
    # A field that the predicate does not have is an error.
    predicate = json.loads(envelope.payload)["predicate"]
    # Of levels the library's message has one, the specification a list.
    for level in predicate.pop("verifiedLevels", []):
        assert isinstance(level, str) and not level.startswith("SLSA_"), level
    json_format.ParseDict(predicate, PREDICATES[statement.predicate_type]())
    print(statement.predicate_type, *sorted(subject.name for subject in statement.subject))
