"""This folder as a course of nbgrader's; see README.md, "Teach with them"."""

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    IgnorePattern,
    LimitOutput,
    SaveAutoGrades,
)

from sandbox.labs.nbgrader import GradeInSandbox

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "wire-by-wire"
c.ClearSolutions.code_stub = {"python": "# your commands"}
# In place of Execute: no Python of a submission is run.
c.Autograde.autograde_preprocessors = [
    GradeInSandbox,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
