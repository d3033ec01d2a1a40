"""How the figures of the notebooks look: colours, sizes and lines, as in `training.plots`."""

import matplotlib.pyplot as plt

# As in `training.plots`, which takes seconds to load where nothing else of training is read.
BLUE, GREY, FAINT = "#1f5fa8", "#5b6570", "#d9dee4"
ORANGE, GREEN = "#c8641e", "#4b8b6f"


def use_house_style() -> None:
    """Titles at the left, quiet axes, a faint grid behind the data."""
    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "figure.figsize": (8, 4),
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 12,
            "axes.titlelocation": "left",
            "axes.labelcolor": GREY,
            "axes.edgecolor": FAINT,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": FAINT,
            "grid.linewidth": 0.6,
            "xtick.color": FAINT,
            "ytick.color": FAINT,
            "xtick.labelcolor": GREY,
            "ytick.labelcolor": GREY,
            "legend.frameon": False,
        }
    )
