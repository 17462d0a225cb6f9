"""The OpenAPI description under tools that read such descriptions. Run by the integration tests and by
`make conformance`:

openapi.py URL EXAMPLES SEED

Validates URL/openapi.json, then lets Schemathesis make EXAMPLES requests for each operation: no answer may
be a server's fault, and each must have the status, type, headers and schema that are described.
"""

import json
import os
import subprocess
import sys
import urllib.request

from openapi_spec_validator import OpenAPIV31SpecValidator

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


def main(url, examples, seed):
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=60) as response:
        document = json.load(response)
    problems = [f"{list(error.path)}: {error.message}" for error in OpenAPIV31SpecValidator(document).iter_errors()]
    assert not problems, "\n".join(problems)
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", f"{url}/openapi.json",
        "--checks", ",".join(CHECKS),
        "--phases", "examples,coverage,fuzzing",
        "--max-examples", examples, "--seed", seed, "--generation-database", "none",
        "--request-timeout", "60", "--workers", "1", "--no-color",
        # A caller who waits no time at all gets 504, as described.
        "--header", "x-request-timeout-ms: 30000",
    ]
    sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
