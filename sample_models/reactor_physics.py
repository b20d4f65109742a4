"""The steady state of a cooled stirred tank in which A -> B -> C.

A liquid is fed to a well stirred tank of constant volume V. Substance A reacts over
a catalyst, with a gas dissolved under pressure, to the product B; B decays over the
same catalyst to the waste C. Both reactions heat the tank, a coil cools it. With the
residence time t = V / F and the temperature T of the tank, the balances of A and B
are those of the ideal stirred tank and can be solved by hand:

    k1 = K1 w sqrt(p / P0) exp(-(E1 / R)(1 / T - 1 / T0))
    k2 = K2 w exp(-(E2 / R)(1 / T - 1 / T0))
    conversion = k1 t / (1 + k1 t)              share of A that has reacted
    purity     = 1 / (1 + k2 t)                 B / (B + C)

and the balance of heat, divided by the heat that one kelvin of feed carries, is one
equation for T alone:

    T - T_feed = D1 conversion + D2 conversion (1 - purity) - g (T - T_coolant)
    g = (c / h)(1 - exp(-U / c)),   c = coolant flow HC,   h = F HF

D1 and D2 are the temperature rises of complete reaction without cooling; the factor
in g is that of a coil in a tank of one temperature. The constants are invented but of
a usual size. The rises are so small that the heat made grows more slowly with T than
the heat removed, so there is one steady state; ``count_steady_states`` counts them.
"""

import numpy as np

INPUTS = (
    ("feed_T", 290.0, 330.0),  # K
    ("feed_flow", 50.0, 150.0),  # L/min
    ("coolant_T", 280.0, 320.0),  # K
    ("coolant_flow", 20.0, 200.0),  # L/min
    ("catalyst", 0.5, 2.0),  # kg
    ("pressure", 2.0, 10.0),  # bar
)
OUTPUTS = ("conversion", "outlet_T", "purity")

VOLUME = 100.0  # L
RATE_1, RATE_2 = 2.0, 0.05  # 1/(min kg) at T0, the first at P0
ENERGY_1, ENERGY_2 = 60_000.0, 80_000.0  # activation energies, J/mol
GAS_CONSTANT = 8.314  # J/(mol K)
REFERENCE_T, REFERENCE_P = 330.0, 5.0  # T0 in K, P0 in bar
RISE_1, RISE_2 = 30.0, 15.0  # D1 and D2, K
HEAT_FEED, HEAT_COOLANT = 4.0, 4.2  # HF and HC, kJ/(L K)
COIL = 300.0  # U, kJ/(min K)
LOWEST_T, HIGHEST_T = 270.0, 400.0  # K; every steady state lies between


def _imbalance(
    inputs: np.ndarray, temperature: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heat removed minus heat made at a temperature, in kelvin, rising through 0.

    Also the conversion and the purity there.
    """
    feed_T, flow, coolant_T, coolant_flow, catalyst, pressure = inputs.T
    residence = VOLUME / flow
    inverse = (1.0 / temperature - 1.0 / REFERENCE_T) / GAS_CONSTANT
    rate_1 = RATE_1 * catalyst * np.sqrt(pressure / REFERENCE_P)
    rate_1 = rate_1 * np.exp(-ENERGY_1 * inverse)
    rate_2 = RATE_2 * catalyst * np.exp(-ENERGY_2 * inverse)
    conversion = rate_1 * residence / (1.0 + rate_1 * residence)
    purity = 1.0 / (1.0 + rate_2 * residence)
    carried = HEAT_COOLANT * coolant_flow
    cooling = carried / (HEAT_FEED * flow) * -np.expm1(-COIL / carried)
    removed = temperature - feed_T + cooling * (temperature - coolant_T)
    made = conversion * (RISE_1 + RISE_2 * (1.0 - purity))
    return removed - made, conversion, purity


def steady_state(inputs: np.ndarray) -> np.ndarray:
    """Conversion, outlet temperature and purity at given settings.

    Parameters
    ----------
    inputs : numpy.ndarray
        Shape (rows, 6), columns as in ``INPUTS``.

    Returns
    -------
    numpy.ndarray
        Shape (rows, 3), columns as in ``OUTPUTS``. The temperature is found by
        bisection, exact to rounding.
    """
    low = np.full(len(inputs), LOWEST_T)
    high = np.full(len(inputs), HIGHEST_T)
    for _ in range(60):
        middle = 0.5 * (low + high)
        hot = _imbalance(inputs, middle)[0] > 0.0
        low, high = np.where(hot, low, middle), np.where(hot, middle, high)
    temperature = 0.5 * (low + high)
    _, conversion, purity = _imbalance(inputs, temperature)
    return np.stack([conversion, temperature, purity], axis=1)


def count_steady_states(inputs: np.ndarray) -> np.ndarray:
    """Count the sign changes of the heat balance on a grid of 0.5 K, per row."""
    grid = np.arange(LOWEST_T, HIGHEST_T, 0.5)
    signs = [_imbalance(inputs, np.full(len(inputs), value))[0] > 0.0 for value in grid]
    return np.count_nonzero(np.diff(np.array(signs), axis=0), axis=0)
