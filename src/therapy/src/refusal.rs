//! Why a prescription or a fill is not allowed.

use core::fmt;

use units::{Flow, FlowRate, Volume};

/// Why a prescription or a fill is not allowed. `Display` gives the value and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A dose of nothing is not a prescription: stopping is a decision of its own.
    DoseZero,
    /// A dose whose 24-hour total cannot even be held (3.4 x 10^20 mg).
    DoseTooLarge,
    /// Dose and concentration ask for less than the pump's lowest therapeutic rate.
    FlowBelowLowest {
        /// What was asked for.
        flow: Flow,
        /// What is allowed at least.
        lowest: FlowRate,
    },
    /// Dose and concentration ask for more than the pump's highest rate.
    FlowAboveHighest {
        /// What was asked for.
        flow: Flow,
        /// What is allowed at most.
        highest: FlowRate,
    },
    /// With this pump's calibration the motor would have to step faster than it may.
    StepRateAboveMaximum {
        /// What was asked for.
        flow: Flow,
        /// What is allowed at most, in thousandths of a hertz.
        maximum_millihertz: u32,
    },
    /// More was filled in than the reservoir takes. Overfilling causes over-infusion.
    FillAboveCapacity {
        /// What was filled in.
        fill: Volume,
        /// What is allowed at most.
        capacity: Volume,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DoseZero => f.write_str(
                "the dose is zero: a dose must be more than zero; to give nothing, stop the pump",
            ),
            Self::DoseTooLarge => f.write_str("the dose is too large to add up over 24 hours"),
            Self::FlowBelowLowest { flow, lowest } => write!(
                f,
                "the dose needs {flow} at this concentration: the pump's lowest therapeutic rate is {lowest}"
            ),
            Self::FlowAboveHighest { flow, highest } => {
                write!(
                    f,
                    "the dose needs {flow:#} at this concentration: the pump's highest rate is {highest}"
                )
            }
            Self::StepRateAboveMaximum {
                flow,
                maximum_millihertz,
            } => write!(
                f,
                "the dose needs {flow:#} at this concentration: the motor makes at most {}.{:03} steps a second",
                maximum_millihertz / 1_000,
                maximum_millihertz % 1_000
            ),
            Self::FillAboveCapacity { fill, capacity } => {
                write!(
                    f,
                    "a fill of {fill} is more than the reservoir takes: at most {capacity}"
                )
            }
        }
    }
}

impl core::error::Error for Refusal {}
