//! The hospital's library: limits that tighten the built-in ones, and which versions have been loaded.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use heapless::Deque;
use serde::{Deserialize, Serialize};
use units::{Concentration, Drug, PoweredTime};

use super::{DrugEntry, Limits, Nanograms, SoftHard, Titration};

/// Bit by bit: a library is checked once in years, a table would cost a kilobyte.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// Length of an encoded [`HospitalLibrary`] at most, bytes: a version of 5, eight drugs of 44. What may be loaded is shorter, below 36 a drug.
const ENCODED_BYTES: usize = 357;

/// How many loaded versions are remembered.
const REMEMBERED: usize = 8;

/// A limit as a hospital sets it. What it leaves out stays as built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tightened<T> {
    /// What needs no reason.
    pub soft: Option<T>,
    /// What anyone may give.
    pub hard: Option<T>,
}

impl<T> Default for Tightened<T> {
    fn default() -> Self {
        Self {
            soft: None,
            hard: None,
        }
    }
}

impl<T: Copy + Ord> Tightened<T> {
    /// The tighter of the built-in limits and these. A soft limit never lies above the hard one.
    fn over(self, built_in: SoftHard<T>) -> SoftHard<T> {
        let hard = built_in.hard.min(self.hard.unwrap_or(built_in.hard));
        let soft = built_in.soft.min(self.soft.unwrap_or(built_in.soft));
        SoftHard {
            soft: soft.min(hard),
            hard,
        }
    }
}

impl<T: Copy + Ord + Into<LimitValue>> Tightened<T> {
    /// Refuses what is looser than what is built in, and a soft limit above the hard one.
    fn check(
        self,
        drug: Drug,
        field: LimitField,
        built_in: SoftHard<T>,
    ) -> Result<(), LibraryRefusal> {
        for (severity, value, limit) in [
            (Severity::Hard, self.hard, built_in.hard),
            (Severity::Soft, self.soft, built_in.soft),
        ] {
            if let Some(value) = value.filter(|value| *value > limit) {
                return Err(LibraryRefusal::Looser {
                    drug,
                    field,
                    severity,
                    value: value.into(),
                    built_in: limit.into(),
                });
            }
        }
        match (self.soft, self.hard) {
            (Some(soft), Some(hard)) if soft > hard => Err(LibraryRefusal::SoftAboveHard {
                drug,
                field,
                soft: soft.into(),
                hard: hard.into(),
            }),
            _ => Ok(()),
        }
    }
}

/// What a hospital says about one drug. The default says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HospitalDrug {
    /// The drug is not used here: whatever holds it is refused.
    pub not_used: bool,
    /// Most over any 24 hours.
    pub day: Tightened<Nanograms>,
    /// Highest concentration.
    pub concentration: Tightened<Concentration>,
    /// Largest single bolus.
    pub bolus: Tightened<Nanograms>,
    /// How far the daily dose may rise at once without a reason; of the same kind as the built-in rule.
    pub titration: Option<Titration>,
}

impl HospitalDrug {
    /// The tighter of the built-in limits and these, whatever these are: a later firmware may have tighter ones built in than when
    /// the library was loaded.
    fn over(&self, built_in: Limits) -> Limits {
        Limits {
            used: !self.not_used,
            day: self.day.over(built_in.day),
            concentration: self.concentration.over(built_in.concentration),
            bolus: self.bolus.over(built_in.bolus),
            titration: match (built_in.titration, self.titration) {
                (Titration::Percent(limit), Some(Titration::Percent(percent))) => {
                    Titration::Percent(limit.min(percent))
                }
                (Titration::PerDay(limit), Some(Titration::PerDay(mass))) => {
                    Titration::PerDay(limit.min(mass))
                }
                (limit, _) => limit,
            },
        }
    }

    /// Refuses whatever is looser than what is built in.
    fn check(&self, drug: Drug) -> Result<(), LibraryRefusal> {
        let built_in = DrugEntry::of(drug).limits();
        self.day.check(drug, LimitField::Day, built_in.day)?;
        self.concentration
            .check(drug, LimitField::Concentration, built_in.concentration)?;
        self.bolus.check(drug, LimitField::Bolus, built_in.bolus)?;
        let looser = match (built_in.titration, self.titration) {
            (_, None) => None,
            (Titration::Percent(limit), Some(Titration::Percent(percent))) => {
                (percent > limit).then_some((LimitValue::Percent(percent), limit.into()))
            }
            (Titration::PerDay(limit), Some(Titration::PerDay(mass))) => {
                (mass > limit).then_some((mass.into(), limit.into()))
            }
            (built_in, Some(_)) => {
                return Err(LibraryRefusal::TitrationOfAnotherKind { drug, built_in });
            }
        };
        match looser {
            None => Ok(()),
            Some((value, built_in)) => Err(LibraryRefusal::Looser {
                drug,
                field: LimitField::Titration,
                severity: Severity::Soft,
                value,
                built_in,
            }),
        }
    }
}

/// The limits of a hospital, unchecked: [`Library::load`] checks and takes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HospitalLibrary {
    /// Rises with every version; the first is 1 or more.
    pub version: u32,
    /// One for each drug, in the order of [`Drug::ALL`].
    pub drugs: [HospitalDrug; 8],
}

impl HospitalLibrary {
    /// What it says about a drug.
    #[must_use]
    pub const fn drug(&self, drug: Drug) -> &HospitalDrug {
        let [
            morphine,
            hydromorphone,
            fentanyl,
            sufentanil,
            bupivacaine,
            clonidine,
            ziconotide,
            baclofen,
        ] = &self.drugs;
        match drug {
            Drug::Morphine => morphine,
            Drug::Hydromorphone => hydromorphone,
            Drug::Fentanyl => fentanyl,
            Drug::Sufentanil => sufentanil,
            Drug::Bupivacaine => bupivacaine,
            Drug::Clonidine => clonidine,
            Drug::Ziconotide => ziconotide,
            Drug::Baclofen => baclofen,
        }
    }

    /// CRC-32 (ISO-HDLC) of its postcard encoding. Whoever signs a library states it, so that the one that arrives is the one that was
    /// signed.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        let mut buffer = [0; ENCODED_BYTES];
        // The buffer always suffices (test `the_longest_library_fits`); were it too short, the checksum of nothing matches no library.
        postcard::to_slice(self, &mut buffer).map_or(0, |bytes| CRC.checksum(bytes))
    }
}

/// Which of a drug's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitField {
    /// The dose over any 24 hours.
    Day,
    /// The concentration.
    Concentration,
    /// The single bolus.
    Bolus,
    /// The rise of the daily dose.
    Titration,
}

impl fmt::Display for LimitField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "dose a day",
            Self::Concentration => "concentration",
            Self::Bolus => "single bolus",
            Self::Titration => "rise of the daily dose",
        })
    }
}

/// What a limit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// Asks for a reason.
    Soft,
    /// Refuses anyone.
    Hard,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
        })
    }
}

/// The value of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitValue {
    /// A mass, alone or per day.
    Mass(Nanograms),
    /// A concentration.
    Concentration(Concentration),
    /// So many per cent.
    Percent(u8),
}

impl From<Nanograms> for LimitValue {
    fn from(mass: Nanograms) -> Self {
        Self::Mass(mass)
    }
}

impl From<Concentration> for LimitValue {
    fn from(concentration: Concentration) -> Self {
        Self::Concentration(concentration)
    }
}

impl From<u8> for LimitValue {
    fn from(percent: u8) -> Self {
        Self::Percent(percent)
    }
}

impl fmt::Display for LimitValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mass(mass) => fmt::Display::fmt(mass, f),
            Self::Concentration(concentration) => fmt::Display::fmt(concentration, f),
            Self::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

/// Why a hospital's library is not taken. The one in use stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LibraryRefusal {
    /// It is not the library that was signed.
    Checksum {
        /// What was stated.
        stated: u32,
        /// What it is.
        computed: u32,
    },
    /// Its version does not rise.
    VersionNotHigher {
        /// Its version.
        version: u32,
        /// The highest that was ever loaded; 0 for none.
        loaded: u32,
    },
    /// A limit is looser than what is built in.
    Looser {
        /// The drug.
        drug: Drug,
        /// Which limit.
        field: LimitField,
        /// Which of its two values.
        severity: Severity,
        /// What was asked for.
        value: LimitValue,
        /// What is allowed at most.
        built_in: LimitValue,
    },
    /// A soft limit lies above the hard one, so that one of the two is a mistake.
    SoftAboveHard {
        /// The drug.
        drug: Drug,
        /// Which limit.
        field: LimitField,
        /// The soft value.
        soft: LimitValue,
        /// The hard value.
        hard: LimitValue,
    },
    /// A rise in per cent where the built-in rule is a mass, or the other way round: they cannot be compared.
    TitrationOfAnotherKind {
        /// The drug.
        drug: Drug,
        /// What is built in.
        built_in: Titration,
    },
}

impl fmt::Display for LibraryRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum { stated, computed } => write!(
                f,
                "the library's checksum is {computed:08x}, not {stated:08x} as stated: it is not the one that was signed"
            ),
            Self::VersionNotHigher { version, loaded } => write!(
                f,
                "the library's version {version} is not higher than version {loaded}, which was loaded before"
            ),
            Self::Looser {
                drug,
                field,
                severity,
                value,
                built_in,
            } => write!(
                f,
                "{drug}, {field}: the {severity} limit of {value} is looser than the built-in {built_in}; a library can only tighten"
            ),
            Self::SoftAboveHard {
                drug,
                field,
                soft,
                hard,
            } => write!(
                f,
                "{drug}, {field}: the soft limit of {soft} is above the hard limit of {hard}"
            ),
            Self::TitrationOfAnotherKind { drug, built_in } => write!(
                f,
                "{drug}: the rise of the daily dose is limited by {built_in}; a library must use the same unit"
            ),
        }
    }
}

impl core::error::Error for LibraryRefusal {}

/// A version that was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedVersion {
    /// Its version.
    pub version: u32,
    /// Its checksum.
    pub checksum: u32,
    /// When it was loaded.
    pub loaded_at: PoweredTime,
}

/// The limits in use: the built-in ones, and a hospital's over them.
///
/// To survive a reset, the hospital's library and the history are kept as two records, each within what a record holds; put together
/// again with [`Library::restored`].
#[derive(Clone, Debug, Default)]
pub struct Library {
    hospital: Option<HospitalLibrary>,
    history: Deque<LoadedVersion, REMEMBERED>,
}

impl Library {
    /// The built-in limits alone.
    #[must_use]
    pub const fn built_in() -> Self {
        Self {
            hospital: None,
            history: Deque::new(),
        }
    }

    /// As kept before a reset. What was kept needs no check: a limit in it that is looser than what is built in has no effect.
    #[must_use]
    pub const fn restored(
        hospital: Option<HospitalLibrary>,
        history: Deque<LoadedVersion, REMEMBERED>,
    ) -> Self {
        Self { hospital, history }
    }

    /// Takes a hospital's library in place of the one in use. One that says nothing about any drug takes all its limits back.
    ///
    /// # Errors
    /// The first of these that applies: [`LibraryRefusal::Checksum`], [`LibraryRefusal::VersionNotHigher`], then drug by drug
    /// [`LibraryRefusal::Looser`], [`LibraryRefusal::SoftAboveHard`], [`LibraryRefusal::TitrationOfAnotherKind`]. Nothing has changed then.
    pub fn load(
        &mut self,
        library: &HospitalLibrary,
        stated_checksum: u32,
        now: PoweredTime,
    ) -> Result<(), LibraryRefusal> {
        let computed = library.checksum();
        if computed != stated_checksum {
            return Err(LibraryRefusal::Checksum {
                stated: stated_checksum,
                computed,
            });
        }
        let loaded = self.highest_version();
        if library.version <= loaded {
            return Err(LibraryRefusal::VersionNotHigher {
                version: library.version,
                loaded,
            });
        }
        for drug in Drug::ALL {
            library.drug(drug).check(drug)?;
        }
        if self.history.is_full() {
            self.history.pop_front();
        }
        // There is room now.
        let _ = self.history.push_back(LoadedVersion {
            version: library.version,
            checksum: computed,
            loaded_at: now,
        });
        self.hospital = Some(library.clone());
        Ok(())
    }

    /// The highest version ever loaded; 0 for none. The history counts too: the library itself may have been lost.
    fn highest_version(&self) -> u32 {
        let in_use = self.hospital.as_ref().map_or(0, |library| library.version);
        self.history
            .back()
            .map_or(in_use, |last| last.version.max(in_use))
    }

    /// The hospital's library in use; `None` is to be shown clearly (clinical reference, 1.6).
    #[must_use]
    pub const fn hospital(&self) -> Option<&HospitalLibrary> {
        self.hospital.as_ref()
    }

    /// The versions loaded, the newest last.
    #[must_use]
    pub const fn history(&self) -> &Deque<LoadedVersion, REMEMBERED> {
        &self.history
    }

    /// The limits that count for a drug: of the built-in and the hospital's the tighter.
    #[must_use]
    pub fn effective(&self, drug: Drug) -> Limits {
        let built_in = DrugEntry::of(drug).limits();
        match &self.hospital {
            Some(hospital) => hospital.drug(drug).over(built_in),
            None => built_in,
        }
    }
}
