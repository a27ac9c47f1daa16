"""HelpSteer2: one response per row, five human ratings from 0 to 4, on HelpSteer's objectives.

Schema (nvidia/HelpSteer2, train.jsonl.gz with 20,324 rows and validation.jsonl.gz with 1,038): prompt, response,
helpfulness, correctness, coherence, complexity, verbosity. Two rows in a row answer one prompt. About a third of the
prompts are conversations, spelt with '<extra_id_1>Assistant' and '<extra_id_1>User' behind an unmarked first turn; they
become turns. The counts are the card's, as others cite it, and were not counted here.
"""

from extract.sources.helpsteer import SOURCE as HELPSTEER
from extract.sources.source import Source

SOURCE = Source(
    name="helpsteer2",
    kind="ratings",
    repo="nvidia/HelpSteer2",
    files=HELPSTEER.files,
    columns=HELPSTEER.columns,
    parse=HELPSTEER.parse,
    objectives=HELPSTEER.objectives,
)
