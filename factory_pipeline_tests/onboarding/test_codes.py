import re
from pathlib import Path

import factory_pipeline
from factory_pipeline.errors import ONBOARDING_CODES

SOURCES = Path(factory_pipeline.__file__).parent.rglob("*.py")


def test_the_table_of_codes_is_whole_and_holds_no_other() -> None:
    text = "\n".join(path.read_text() for path in SOURCES)
    raised = set(re.findall(r'(?:OnboardingError|_refused)\(\s*"([A-Z_]+)"', text))
    assert raised - set(ONBOARDING_CODES) == set()
    assert {code for code in ONBOARDING_CODES if f'"{code}"' not in text} == set()
