"""`op.snake_case`: the small vocabulary that rules are written in, over the emitter's single nodes.

Each word is a short method of one of the groups below. Words use sizes that are known when
compiling and fall back to `Shape` at run time, so that every rule works with symbolic dimensions.
"""

from portgrad.autodiff.vocabulary.attention import AttentionWords
from portgrad.autodiff.vocabulary.convolutions import ConvolutionWords
from portgrad.autodiff.vocabulary.elementary import ElementaryWords
from portgrad.autodiff.vocabulary.indexing import IndexingWords
from portgrad.autodiff.vocabulary.quantisation import QuantisationWords
from portgrad.autodiff.vocabulary.reductions import ReductionWords
from portgrad.autodiff.vocabulary.sampling import SamplingWords
from portgrad.autodiff.vocabulary.sequences import SequenceWords
from portgrad.autodiff.vocabulary.shapes import ShapeWords
from portgrad.autodiff.vocabulary.statistics import StatisticsWords


class Vocabulary(
    AttentionWords,
    ConvolutionWords,
    ElementaryWords,
    SamplingWords,
    IndexingWords,
    StatisticsWords,
    QuantisationWords,
    ReductionWords,
    SequenceWords,
    ShapeWords,
):
    """The emitter that rules receive as `op`."""


__all__ = ["Vocabulary"]
