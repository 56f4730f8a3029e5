"""How much the projection of an image (or any vector) gives away about a discrete variable."""

from __future__ import annotations

import numpy as np

from causalplug.errors import DataError

__all__ = ["held_out_probabilities"]


def held_out_probabilities(
    features: np.ndarray, labels: np.ndarray, *, folds: int = 5, seed: int = 0
) -> np.ndarray:
    """P(label | features) for every row, from calibrated classifiers that never saw the row.

    A linear classifier and boosted trees are fitted; whichever has the smaller held-out log-loss is
    used.

    Args:
        features: array (rows, d).
        labels: integer codes (rows,), 0 to k - 1.
        folds: of the cross-validation; fewer if a label is rarer than that.
        seed: of folds and trees.

    Returns:
        Array (rows, k). A label with fewer than two rows has probability 0 everywhere.

    Raises:
        DataError: features and labels differ in length, or features that are not finite.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.decomposition import PCA
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(features) != len(labels):
        raise DataError(
            f"{len(features)} projections cannot be compared with {len(labels)} rows; give one per row"
        )
    if not np.isfinite(features).all():
        raise DataError(
            "the projections cannot be used: some are infinite or missing; check the encoder"
        )
    count = int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=count)
    frequent = np.flatnonzero(sizes >= 2)
    result = np.zeros((len(labels), count))
    if len(frequent) < 2:
        result[:, frequent] = 1.0
        return result
    rows = np.isin(labels, frequent)
    usable, kept = labels[rows], features[rows]
    splits = StratifiedKFold(
        min(folds, int(sizes[frequent].min())), shuffle=True, random_state=seed
    )
    # With fewer than four rows of some label none can be set aside to calibrate on.
    inner = min(3, int(sizes[frequent].min()) // 2) if sizes[frequent].min() >= 4 else 0
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)),
        make_pipeline(
            PCA(min(16, *kept.shape), random_state=seed) if kept.shape[1] > 16 else "passthrough",
            HistGradientBoostingClassifier(
                max_iter=40, max_depth=4, early_stopping=False, random_state=seed
            ),
        ),
    ]
    best, best_loss = None, np.inf
    position = np.searchsorted(frequent, usable)
    for model in models:
        calibrated = CalibratedClassifierCV(model, method="sigmoid", cv=inner) if inner else model
        found = cross_val_predict(calibrated, kept, usable, cv=splits, method="predict_proba")
        loss = -np.log(np.maximum(found[np.arange(len(usable)), position], 1e-12)).mean()
        if loss < best_loss:
            best, best_loss = found, loss
    result[np.ix_(np.flatnonzero(rows), frequent)] = best
    return result
