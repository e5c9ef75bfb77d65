//! The catheter record: what lies between the pump's reservoir and the tip, in volumes.
//!
//! Primes and bridges are sums over these numbers, so that they are kept in the pump's own memory from the day of implant (clinical
//! reference, 1.4). Nothing in here is a constant of the firmware: a tubing volume wrong by 0.059 mL once gave 0.590 mg of morphine
//! too much with every prime (clinical reference, 2.2).

use core::fmt;

use serde::{Deserialize, Serialize};
use units::{PrimeKind, PumpKind, Volume};

/// The largest volume from reservoir to tip of an implant, 0.6 mL: what one prime may fill \[P\] (clinical reference, criterion 14).
pub const LARGEST_IMPLANT_PATH: Volume = Volume::from_microlitres(600);
/// The largest volume from reservoir to tip of an external pump, 4 mL: what one prime may fill \[P\] (docs/therapy.md, "Prime").
pub const LARGEST_EXTERNAL_PATH: Volume = Volume::from_millilitres(4);

/// Femtolitres in a tenth of a nanolitre: a millimetre of catheter holds a tenth of what a centimetre does.
const TENTH_OF_A_NANOLITRE: u64 = 100_000;

/// What is allowed in a catheter record, itself included.
///
/// | number | allowed | source |
/// |---|---|---|
/// | pump tubing | 0.01 to 0.5 mL | \[P\] around 0.140 mL \[S04\], 0.199 mL \[S04\], 0.26 mL \[GK\] |
/// | external line | 1 to 3 mL | \[P\] clinical reference 5.3 |
/// | subcutaneous port | 0 to 0.5 mL | \[P\] |
/// | implanted length | 1.0 to 120.0 cm | \[P\] above the longest, 110 cm \[S36\] |
/// | volume of a centimetre | 500 to 10,000 nL | \[P\] around 2,200 nL \[GK\], 2,600 nL \[S36\] |
pub mod allowed {
    use core::ops::RangeInclusive;

    /// Volume of a pump's tubing, nL.
    pub const TUBING: RangeInclusive<u32> = 10_000..=500_000;
    /// Volume of an external line, nL.
    pub const LINE: RangeInclusive<u32> = 1_000_000..=3_000_000;
    /// Volume of a port, nL.
    pub const PORT: RangeInclusive<u32> = 0..=500_000;
    /// Implanted length, mm.
    pub const LENGTH: RangeInclusive<u16> = 10..=1_200;
    /// Volume of a centimetre, nL.
    pub const PER_CENTIMETRE: RangeInclusive<u16> = 500..=10_000;
}

/// What lies between the reservoir and the catheter, in nanolitres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Upstream {
    /// The tubing inside an implant, from its reservoir to its catheter port.
    PumpTubing {
        /// Its volume, a number of the pump's model.
        nanolitres: u32,
    },
    /// The line of an external pump, and the subcutaneous port it ends in.
    ExternalLine {
        /// The volume of the line.
        line_nanolitres: u32,
        /// The volume of the port; 0 without one.
        port_nanolitres: u32,
    },
}

impl Upstream {
    /// Its volume.
    #[must_use]
    pub const fn volume(self) -> Volume {
        match self {
            Self::PumpTubing { nanolitres } => Volume::from_nanolitres(nanolitres),
            Self::ExternalLine {
                line_nanolitres,
                port_nanolitres,
            } => Volume::from_nanolitres(line_nanolitres)
                .saturating_add(Volume::from_nanolitres(port_nanolitres)),
        }
    }
}

/// The vertebra at the level of which a catheter's tip lies, from C1 to L5; shown, and used for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct TipLevel(u8);

impl TipLevel {
    /// Numbers below are cervical.
    const FIRST_THORACIC: u8 = 7;
    /// Numbers below, from [`TipLevel::FIRST_THORACIC`], are thoracic.
    const FIRST_LUMBAR: u8 = 19;
    /// How many there are.
    const COUNT: u8 = 24;

    /// The vertebra with this number counted from C1 = 0: T1 is 7, L1 is 19, L5 is 23, and above that is none.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if number < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number counted from C1 = 0.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for TipLevel {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, &'static str> {
        Self::from_number(number).ok_or("a tip level is a vertebra from C1 (0) to L5 (23)")
    }
}

impl From<TipLevel> for u8 {
    fn from(level: TipLevel) -> Self {
        level.0
    }
}

impl fmt::Display for TipLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (region, before) = match self.0 {
            number if number < Self::FIRST_THORACIC => ('C', 0),
            number if number < Self::FIRST_LUMBAR => ('T', Self::FIRST_THORACIC),
            _ => ('L', Self::FIRST_LUMBAR),
        };
        let vertebra = self.0.saturating_sub(before).saturating_add(1);
        write!(f, "{region}{vertebra}")
    }
}

/// What is written down about a catheter, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatheterRecord {
    /// The model's number in the programmer's list; kept and shown only.
    pub model: u16,
    /// What lies between the reservoir and the catheter.
    pub upstream: Upstream,
    /// The length left in the patient, in tenths of a centimetre.
    pub implanted_millimetres: u16,
    /// The length cut off, in tenths of a centimetre; kept and shown only.
    pub trimmed_millimetres: u16,
    /// What one centimetre holds, in nanolitres.
    pub nanolitres_per_centimetre: u16,
    /// Where the tip lies, if known.
    pub tip: Option<TipLevel>,
}

/// A catheter record that has passed every check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "CatheterRecord", into = "CatheterRecord")]
pub struct Catheter(CatheterRecord);

impl Catheter {
    /// Checks a record.
    ///
    /// # Errors
    /// The first of these that applies: [`CatheterRefusal::Tubing`], [`CatheterRefusal::Line`], [`CatheterRefusal::Port`],
    /// [`CatheterRefusal::Length`], [`CatheterRefusal::PerCentimetre`], [`CatheterRefusal::PathTooLarge`]. Every limit is allowed itself.
    pub fn new(record: CatheterRecord) -> Result<Self, CatheterRefusal> {
        match record.upstream {
            Upstream::PumpTubing { nanolitres } => {
                if !allowed::TUBING.contains(&nanolitres) {
                    return Err(CatheterRefusal::Tubing { nanolitres });
                }
            }
            Upstream::ExternalLine {
                line_nanolitres,
                port_nanolitres,
            } => {
                if !allowed::LINE.contains(&line_nanolitres) {
                    return Err(CatheterRefusal::Line {
                        nanolitres: line_nanolitres,
                    });
                }
                if !allowed::PORT.contains(&port_nanolitres) {
                    return Err(CatheterRefusal::Port {
                        nanolitres: port_nanolitres,
                    });
                }
            }
        }
        let millimetres = record.implanted_millimetres;
        if !allowed::LENGTH.contains(&millimetres) {
            return Err(CatheterRefusal::Length { millimetres });
        }
        let nanolitres = record.nanolitres_per_centimetre;
        if !allowed::PER_CENTIMETRE.contains(&nanolitres) {
            return Err(CatheterRefusal::PerCentimetre { nanolitres });
        }
        let catheter = Self(record);
        let (path, largest) = (catheter.path_volume(), catheter.largest_path());
        if path > largest {
            return Err(CatheterRefusal::PathTooLarge { path, largest });
        }
        Ok(catheter)
    }

    /// What is written down.
    #[must_use]
    pub const fn record(&self) -> &CatheterRecord {
        &self.0
    }

    /// Whether a pump of this kind can have this catheter: tubing belongs to implants, a line to an external pump.
    #[must_use]
    pub const fn fits(&self, kind: PumpKind) -> bool {
        match kind {
            PumpKind::ProgrammableImplant | PumpKind::ConstantRate => {
                matches!(self.0.upstream, Upstream::PumpTubing { .. })
            }
            PumpKind::ExternalTrial => matches!(self.0.upstream, Upstream::ExternalLine { .. }),
        }
    }

    /// The volume of the catheter alone: implanted length x volume of a centimetre (clinical reference, 2.2).
    #[must_use]
    pub fn catheter_volume(&self) -> Volume {
        // 11 + 14 + 17 bits.
        let femtolitres = u64::from(self.0.implanted_millimetres)
            .saturating_mul(u64::from(self.0.nanolitres_per_centimetre))
            .saturating_mul(TENTH_OF_A_NANOLITRE);
        Volume::from_femtolitres(femtolitres)
    }

    /// The volume from reservoir to tip.
    #[must_use]
    pub fn path_volume(&self) -> Volume {
        self.0
            .upstream
            .volume()
            .saturating_add(self.catheter_volume())
    }

    /// What a prime of this kind has to fill (clinical reference, 2.2). The line of an external pump counts as its tubing.
    #[must_use]
    pub fn prime_volume(&self, kind: PrimeKind) -> Volume {
        match kind {
            PrimeKind::PumpAndCatheter => self.path_volume(),
            PrimeKind::PumpOnly => self.0.upstream.volume(),
            PrimeKind::CatheterOnly => self.catheter_volume(),
        }
    }

    /// What one prime may fill at most.
    #[must_use]
    pub const fn largest_path(&self) -> Volume {
        match self.0.upstream {
            Upstream::PumpTubing { .. } => LARGEST_IMPLANT_PATH,
            Upstream::ExternalLine { .. } => LARGEST_EXTERNAL_PATH,
        }
    }
}

impl TryFrom<CatheterRecord> for Catheter {
    type Error = CatheterRefusal;

    fn try_from(record: CatheterRecord) -> Result<Self, CatheterRefusal> {
        Self::new(record)
    }
}

impl From<Catheter> for CatheterRecord {
    fn from(catheter: Catheter) -> Self {
        catheter.0
    }
}

/// Why a catheter record is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatheterRefusal {
    /// The tubing holds too little or too much.
    Tubing {
        /// What was written down.
        nanolitres: u32,
    },
    /// The line holds too little or too much.
    Line {
        /// What was written down.
        nanolitres: u32,
    },
    /// The port holds too much.
    Port {
        /// What was written down.
        nanolitres: u32,
    },
    /// The catheter is too short or too long.
    Length {
        /// What was written down.
        millimetres: u16,
    },
    /// A centimetre holds too little or too much.
    PerCentimetre {
        /// What was written down.
        nanolitres: u16,
    },
    /// Each part is allowed and all of them together hold more than one prime may fill.
    PathTooLarge {
        /// The volume from reservoir to tip.
        path: Volume,
        /// What is allowed at most.
        largest: Volume,
    },
}

impl fmt::Display for CatheterRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let volume = Volume::from_nanolitres;
        let mut range = |what: &str, is: Volume, from: u32, to: u32| {
            write!(
                f,
                "{what} of {is} is not possible: {} to {} is allowed",
                volume(from),
                volume(to)
            )
        };
        match *self {
            Self::Tubing { nanolitres } => range(
                "pump tubing",
                volume(nanolitres),
                *allowed::TUBING.start(),
                *allowed::TUBING.end(),
            ),
            Self::Line { nanolitres } => range(
                "a line",
                volume(nanolitres),
                *allowed::LINE.start(),
                *allowed::LINE.end(),
            ),
            Self::Port { nanolitres } => range(
                "a port",
                volume(nanolitres),
                *allowed::PORT.start(),
                *allowed::PORT.end(),
            ),
            Self::PerCentimetre { nanolitres } => range(
                "a centimetre of catheter",
                volume(u32::from(nanolitres)),
                u32::from(*allowed::PER_CENTIMETRE.start()),
                u32::from(*allowed::PER_CENTIMETRE.end()),
            ),
            Self::Length { millimetres } => write!(
                f,
                "an implanted length of {}.{} cm is not possible: {} to {} cm is allowed",
                millimetres / 10,
                millimetres % 10,
                allowed::LENGTH.start() / 10,
                allowed::LENGTH.end() / 10
            ),
            Self::PathTooLarge { path, largest } => write!(
                f,
                "{path} from reservoir to tip is more than a prime may fill: at most {largest}"
            ),
        }
    }
}

impl core::error::Error for CatheterRefusal {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    /// The reference case of the clinical reference, section 2.
    const REFERENCE: CatheterRecord = CatheterRecord {
        model: 1,
        upstream: Upstream::PumpTubing {
            nanolitres: 140_000,
        },
        implanted_millimetres: 810,
        trimmed_millimetres: 80,
        nanolitres_per_centimetre: 2_200,
        tip: TipLevel::from_number(16),
    };

    const EXTERNAL: CatheterRecord = CatheterRecord {
        upstream: Upstream::ExternalLine {
            line_nanolitres: 2_000_000,
            port_nanolitres: 300_000,
        },
        ..REFERENCE
    };

    fn text(volume: Volume) -> std::string::String {
        volume.to_string()
    }

    /// Clinical reference, 2.2.
    ///
    /// Requirement: CALC-2
    #[test]
    fn the_volumes_are_those_of_the_worked_examples() {
        let catheter = Catheter::new(REFERENCE).unwrap();
        assert_eq!(text(catheter.catheter_volume()), "0.1782 mL");
        assert_eq!(text(catheter.path_volume()), "0.3182 mL");
        for (kind, volume) in [
            (PrimeKind::PumpAndCatheter, "0.3182 mL"),
            (PrimeKind::PumpOnly, "0.14 mL"),
            (PrimeKind::CatheterOnly, "0.1782 mL"),
        ] {
            assert_eq!(text(catheter.prime_volume(kind)), volume);
        }
        let old = CatheterRecord {
            upstream: Upstream::PumpTubing {
                nanolitres: 199_000,
            },
            ..REFERENCE
        };
        assert_eq!(text(Catheter::new(old).unwrap().path_volume()), "0.3772 mL");
        let other = CatheterRecord {
            implanted_millimetres: 1_100 - 320,
            trimmed_millimetres: 320,
            nanolitres_per_centimetre: 2_600,
            ..REFERENCE
        };
        assert_eq!(
            text(Catheter::new(other).unwrap().catheter_volume()),
            "0.2028 mL"
        );
        let external = Catheter::new(EXTERNAL).unwrap();
        assert_eq!(text(external.path_volume()), "2.4782 mL");
        assert_eq!(text(external.prime_volume(PrimeKind::PumpOnly)), "2.3 mL");
    }

    #[test]
    fn every_limit_is_allowed_and_one_more_is_not() {
        let tubing = |nanolitres| CatheterRecord {
            upstream: Upstream::PumpTubing { nanolitres },
            ..REFERENCE
        };
        let line = |line_nanolitres, port_nanolitres| CatheterRecord {
            upstream: Upstream::ExternalLine {
                line_nanolitres,
                port_nanolitres,
            },
            ..REFERENCE
        };
        let short = |record| CatheterRecord {
            implanted_millimetres: 10,
            ..record
        };
        let length = |implanted_millimetres| CatheterRecord {
            implanted_millimetres,
            ..REFERENCE
        };
        let wide = |nanolitres_per_centimetre| {
            short(CatheterRecord {
                nanolitres_per_centimetre,
                ..REFERENCE
            })
        };
        for allowed in [
            tubing(10_000),
            short(tubing(500_000)),
            line(1_000_000, 0),
            line(3_000_000, 500_000),
            length(10),
            length(1_200),
            wide(500),
            wide(10_000),
        ] {
            assert!(Catheter::new(allowed).is_ok(), "{allowed:?}");
        }
        for (refused, refusal) in [
            (tubing(9_999), CatheterRefusal::Tubing { nanolitres: 9_999 }),
            (
                short(tubing(500_001)),
                CatheterRefusal::Tubing {
                    nanolitres: 500_001,
                },
            ),
            (
                line(999_999, 0),
                CatheterRefusal::Line {
                    nanolitres: 999_999,
                },
            ),
            (
                line(3_000_001, 0),
                CatheterRefusal::Line {
                    nanolitres: 3_000_001,
                },
            ),
            (
                line(3_000_000, 500_001),
                CatheterRefusal::Port {
                    nanolitres: 500_001,
                },
            ),
            (length(9), CatheterRefusal::Length { millimetres: 9 }),
            (
                length(1_201),
                CatheterRefusal::Length { millimetres: 1_201 },
            ),
            (
                wide(499),
                CatheterRefusal::PerCentimetre { nanolitres: 499 },
            ),
            (
                wide(10_001),
                CatheterRefusal::PerCentimetre { nanolitres: 10_001 },
            ),
        ] {
            assert_eq!(Catheter::new(refused), Err(refusal));
            assert!(!refusal.to_string().is_empty());
        }
    }

    #[test]
    fn the_whole_path_can_be_filled_by_one_prime() {
        // 0.5 mL of tubing and 100 mm x 10,000 nL/cm are 0.6 mL exactly.
        let widest = |implanted_millimetres| CatheterRecord {
            upstream: Upstream::PumpTubing {
                nanolitres: 500_000,
            },
            implanted_millimetres,
            nanolitres_per_centimetre: 10_000,
            ..REFERENCE
        };
        let catheter = Catheter::new(widest(100)).unwrap();
        assert_eq!(catheter.path_volume(), LARGEST_IMPLANT_PATH);
        let refusal = Catheter::new(widest(101)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "0.601 mL from reservoir to tip is more than a prime may fill: at most 0.6 mL"
        );
        let external = |implanted_millimetres| CatheterRecord {
            upstream: Upstream::ExternalLine {
                line_nanolitres: 3_000_000,
                port_nanolitres: 500_000,
            },
            ..widest(implanted_millimetres)
        };
        assert_eq!(
            Catheter::new(external(500)).unwrap().path_volume(),
            LARGEST_EXTERNAL_PATH
        );
        assert!(Catheter::new(external(501)).is_err());
    }

    #[test]
    fn refusals_give_the_value_and_what_is_allowed() {
        assert_eq!(
            CatheterRefusal::Length { millimetres: 1_205 }.to_string(),
            "an implanted length of 120.5 cm is not possible: 1 to 120 cm is allowed"
        );
        assert_eq!(
            CatheterRefusal::Tubing {
                nanolitres: 600_000
            }
            .to_string(),
            "pump tubing of 0.6 mL is not possible: 0.01 mL to 0.5 mL is allowed"
        );
    }

    #[test]
    fn a_line_belongs_to_an_external_pump() {
        let (implant, external) = (
            Catheter::new(REFERENCE).unwrap(),
            Catheter::new(EXTERNAL).unwrap(),
        );
        for (kind, outside) in [
            (PumpKind::ProgrammableImplant, false),
            (PumpKind::ConstantRate, false),
            (PumpKind::ExternalTrial, true),
        ] {
            assert_eq!(implant.fits(kind), !outside);
            assert_eq!(external.fits(kind), outside);
        }
    }

    #[test]
    fn a_tip_level_is_a_vertebra() {
        for (number, name) in [
            (0, "C1"),
            (6, "C7"),
            (7, "T1"),
            (18, "T12"),
            (19, "L1"),
            (23, "L5"),
        ] {
            let level = TipLevel::from_number(number).unwrap();
            assert_eq!((level.to_string().as_str(), level.number()), (name, number));
        }
        assert_eq!(TipLevel::from_number(24), None);
    }

    #[test]
    fn a_stored_record_is_checked_again() {
        let mut buffer = [0; 32];
        let largest = Catheter::new(CatheterRecord {
            model: u16::MAX,
            upstream: Upstream::ExternalLine {
                line_nanolitres: 3_000_000,
                port_nanolitres: 300_000,
            },
            trimmed_millimetres: u16::MAX,
            ..EXTERNAL
        })
        .unwrap();
        let bytes = postcard::to_slice(&largest, &mut buffer).unwrap();
        assert_eq!(bytes.len(), 20);
        assert_eq!(postcard::from_bytes(bytes), Ok(largest));
        let wrong = CatheterRecord {
            implanted_millimetres: 9,
            ..REFERENCE
        };
        let bytes = postcard::to_slice(&wrong, &mut buffer).unwrap();
        assert!(postcard::from_bytes::<Catheter>(bytes).is_err());
        assert!(postcard::from_bytes::<TipLevel>(&[24]).is_err());
    }
}
