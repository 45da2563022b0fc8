"""The pipelines of `sklearn_nets`, by name. It needs scikit-learn."""

from __future__ import annotations

from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA, KernelPCA
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC, OneClassSVM

from support.sklearn_nets import Source

RAW = {"raw_scores": True}
SCORES = {"method": "decision_function", "options": RAW | {"zipmap": False}}
NUMBER = {"data": "number", "method": "predict", "output": "variable"}


def _logistic() -> LogisticRegression:
    return LogisticRegression(C=2.0, max_iter=500)


def _table() -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("numbers", StandardScaler(), [0, 1]),
            ("towns", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [2]),
        ]
    )


NETS: dict[str, Source] = {
    # linear models
    "logistic_two": Source(_logistic, "two"),
    "logistic_three": Source(_logistic),
    "logistic_named": Source(_logistic, "named"),
    "logistic_scores": Source(_logistic, **SCORES),
    "logistic_map": Source(
        _logistic, "named", options={"zipmap": True}, output="output_probability"
    ),
    "logistic_old": Source(_logistic, opset=11),
    "linear": Source(LinearRegression, **NUMBER),
    "linear_pairs": Source(LinearRegression, **NUMBER | {"data": "numbers"}),
    "ridge_double": Source(Ridge, **NUMBER, double=True),
    "ridge_scores": Source(RidgeClassifier, **SCORES),
    "partial_squares": Source(PLSRegression, **NUMBER),  # its output is declared too wide
    "tweedie": Source(lambda: TweedieRegressor(power=0, link="log"), **NUMBER),
    "sgd_log": Source(
        lambda: make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0))
    ),
    "sgd_huber": Source(
        lambda: make_pipeline(
            StandardScaler(), SGDClassifier(loss="modified_huber", alpha=1.0, random_state=0)
        ),
        "two",
    ),
    "howto": Source(lambda: make_pipeline(StandardScaler(), LogisticRegression())),
    # support vectors
    "svc_rbf": Source(lambda: SVC(random_state=0), **SCORES),
    "svc_pairs": Source(lambda: SVC(decision_function_shape="ovo", C=3.0), "four", **SCORES),
    "svc_two": Source(lambda: SVC(random_state=0), "two", **SCORES, both=True),
    "svc_poly": Source(lambda: SVC(kernel="poly", coef0=1.0), "two", **SCORES, both=True),
    "svc_sigmoid": Source(lambda: SVC(kernel="sigmoid", gamma=0.01), "two", **SCORES, both=True),
    "svr": Source(SVR, **NUMBER),
    "svr_linear": Source(lambda: SVR(kernel="linear"), **NUMBER),
    "linear_svc": Source(LinearSVC, **SCORES | {"options": RAW}),
    "svc_probable": Source(lambda: SVC(probability=True, random_state=0)),
    "svc_two_probable": Source(lambda: SVC(probability=True, random_state=0), "two"),
    "nu_svc_probable": Source(
        lambda: NuSVC(kernel="poly", probability=True, random_state=0), "named"
    ),
    "nu_svc": Source(NuSVC, "two", **SCORES, both=True),
    "one_class": Source(
        OneClassSVM, **NUMBER | {"method": "decision_function", "output": "scores"}
    ),
    # layers
    "mlp": Source(
        lambda: make_pipeline(
            StandardScaler(), MLPClassifier((8,), activation="tanh", max_iter=200, random_state=0)
        )
    ),
    "mlp_relu_double": Source(
        lambda: make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=200, random_state=0)),
        double=True,
    ),
    "mlp_number": Source(
        lambda: MLPRegressor(
            hidden_layer_sizes=(8,), activation="logistic", max_iter=200, random_state=0
        ),
        **NUMBER,
    ),
    # what stands before a model
    "robust": Source(lambda: make_pipeline(RobustScaler(), _logistic())),
    "min_max": Source(lambda: make_pipeline(MinMaxScaler(clip=True), _logistic())),
    "max_abs_double": Source(lambda: make_pipeline(MaxAbsScaler(), Ridge()), **NUMBER, double=True),
    **{
        f"normalizer_{norm}": Source(lambda norm=norm: make_pipeline(Normalizer(norm), _logistic()))
        for norm in ("l1", "l2", "max")
    },
    "imputer": Source(
        lambda: make_pipeline(SimpleImputer(), StandardScaler(), _logistic()), "holes"
    ),
    "pca": Source(lambda: make_pipeline(StandardScaler(), PCA(2), _logistic())),
    "pca_whitened_double": Source(
        lambda: make_pipeline(PCA(2, whiten=True), Ridge()), **NUMBER, double=True
    ),
    "polynomial": Source(lambda: make_pipeline(PolynomialFeatures(3), Ridge()), **NUMBER),
    "polynomial_double": Source(
        lambda: make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), Ridge()),
        **NUMBER,
        double=True,
    ),
    "power": Source(lambda: make_pipeline(PowerTransformer(), _logistic())),
    "kernel_pca": Source(lambda: make_pipeline(KernelPCA(2, kernel="rbf"), _logistic())),
    "threshold": Source(lambda: make_pipeline(Binarizer(threshold=2.0), _logistic())),
    "bins": Source(lambda: make_pipeline(KBinsDiscretizer(4, encode="onehot-dense"), _logistic())),
    "union": Source(
        lambda: make_pipeline(
            FeatureUnion([("pca", PCA(2)), ("scaled", StandardScaler())]), _logistic()
        )
    ),
    "table": Source(lambda: make_pipeline(_table(), _logistic()), "table"),
    "table_union": Source(
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    ("both", FeatureUnion([("s", StandardScaler()), ("m", MinMaxScaler())]), [0]),
                    ("rest", SimpleImputer(), [1]),
                ]
            ),
            _logistic(),
        ),
        "table",
    ),
    # neighbours, clusters, processes, densities
    "gaussian_process": Source(
        lambda: GaussianProcessRegressor(RBF(1.5) + WhiteKernel(0.1), normalize_y=True),
        **NUMBER | {"output": "GPmean"},
        double=True,
    ),
    "neighbours": Source(lambda: KNeighborsRegressor(3), **NUMBER),
    "k_means": Source(
        lambda: KMeans(3, n_init=1, random_state=0), method="transform", output="scores"
    ),
    "naive_bayes": Source(GaussianNB),
    "discriminant": Source(LinearDiscriminantAnalysis),
    "discriminant_squares": Source(QuadraticDiscriminantAnalysis),
    "counts": Source(MultinomialNB),
    "outliers": Source(
        lambda: LocalOutlierFactor(5, novelty=True),
        **NUMBER | {"method": "decision_function", "output": "scores"},
    ),
    "process_matern": Source(
        lambda: GaussianProcessRegressor(Matern(nu=1.5) + WhiteKernel()),
        **NUMBER | {"output": "GPmean"},
        double=True,
        opset=9,
    ),
    "process_single": Source(
        lambda: GaussianProcessRegressor(RBF() + WhiteKernel()), **NUMBER | {"output": "GPmean"}
    ),
    # several models
    "one_to_rest": Source(lambda: OneVsRestClassifier(_logistic())),
    "bagging": Source(lambda: BaggingClassifier(_logistic(), 3, random_state=0)),
    "voting_number": Source(
        lambda: VotingRegressor([("a", Ridge()), ("b", LinearRegression())]), **NUMBER
    ),
    "stacking_number": Source(
        lambda: StackingRegressor([("a", Ridge()), ("b", SVR())], cv=2), **NUMBER
    ),
    "voting": Source(
        lambda: VotingClassifier(
            [("a", _logistic()), ("b", GaussianNB())], voting="soft", flatten_transform=False
        )
    ),
    "stacking": Source(
        lambda: StackingClassifier([("a", _logistic()), ("b", GaussianNB())], _logistic(), cv=3)
    ),
    "calibrated": Source(lambda: CalibratedClassifierCV(_logistic(), cv=2)),
    # trees
    "forest": Source(lambda: RandomForestClassifier(3, max_depth=3, random_state=0)),
    "forest_number": Source(
        lambda: RandomForestRegressor(3, max_depth=3, random_state=0), **NUMBER
    ),
    "boosting": Source(
        lambda: GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=0)
    ),
    "ada_boost": Source(lambda: AdaBoostClassifier(n_estimators=3, random_state=0)),
    "isolation": Source(
        lambda: IsolationForest(n_estimators=3, random_state=0),
        **NUMBER | {"method": "decision_function", "output": "scores"},
    ),
    "hist_boosting": Source(
        lambda: HistGradientBoostingRegressor(max_iter=3, max_leaf_nodes=4),
        **NUMBER,
    ),
    "trees_and_line": Source(
        lambda: VotingClassifier(
            [("a", _logistic()), ("b", RandomForestClassifier(2, max_depth=2, random_state=0))],
            voting="soft",
            flatten_transform=False,
        )
    ),
    # text
    "texts": Source(
        lambda: make_pipeline(ColumnTransformer([("t", TfidfVectorizer(), 0)]), _logistic()),
        "texts",
        options={TfidfVectorizer: {"locale": "C"}},
    ),
}
