//! The world of a virtual pump: its hardware, its processor with the pump's own program, and time.
//!
//! One deterministic loop over events: [`World::advance_to`] runs everything that is due, in order of time, and what the pump
//! wants done is done in the order in which it says so. The motor's steps are timed by its own core in C and never wait for the
//! processor; the processor waits while the flash is busy, as a real one is halted by a page erase.

mod processor;

use anyhow::{Context, Result, bail};
use drivers::motor::{EmulatedMotor, MotorConfiguration, RotorParameters};
use journal::{PageWear, VirtualFlash};
use processor::{Bench, Incoming, Processor};
use protocol::info::capability;
use protocol::{Info, Mtu, SessionId};
use pump::{CommissioningRecord, ONE_TIME_BYTES, Record, ResetCause, Retained};
use serde::Serialize;
use therapy::Sound;
use units::{CarrierTime, Clock, Duration, PumpTime};

/// What a virtual pump tells of itself: it takes programs, nobody is authenticated, and it is virtual.
const CAPABILITIES: u32 = capability::PROGRAMMING | capability::INSECURE_LINK | capability::VIRTUAL;

/// What a pump is built of.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// What the factory makes of it: kind and calibration.
    pub commissioning: CommissioningRecord,
    /// Where chance starts: the rotor's and the nonces'.
    pub seed: u64,
}

/// What the pump says by itself to a phone that is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// An indication of Response: a new fragment.
    Response(Vec<u8>),
    /// A notification of Status changed: the flags.
    StatusChanged(u16),
}

/// What the link's time-outs run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Simulated time: the phone lives in it too.
    Simulated,
    /// Real time, as last told by [`World::set_carrier_time`].
    Real(CarrierTime),
}

/// One record of the pump's event log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    /// Which boot.
    pub boot: u32,
    /// Since that boot.
    pub at: PumpTime,
    /// The time of day as the pump knew it.
    pub clock: Clock,
    /// The record's kind.
    pub kind: u16,
    /// The record, or why it cannot be read.
    pub record: Result<Record, String>,
}

/// What the flash went through since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Words of four bytes.
    pub words_written: u64,
    /// Pages of 4096 bytes.
    pub page_erases: u64,
    /// Of the page that was erased most often; the nRF52 guarantees 10,000.
    pub most_erases_of_a_page: u32,
}

/// What a processor finds when it starts.
#[derive(Debug)]
struct Memory {
    flash: VirtualFlash,
    /// What came through a reset in RAM.
    retained: Option<Retained>,
    /// What was burnt into one-time memory; none while it is blank.
    one_time: Option<[u8; ONE_TIME_BYTES]>,
}

/// What the flash of one partition went through since the world began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wear {
    /// Its name in the device tree.
    pub partition: &'static str,
    /// What each of its pages went through.
    pub pages: Vec<PageWear>,
}

/// A virtual pump and its time.
#[derive(Debug)]
pub struct World {
    build: Build,
    now: Duration,
    carrier: Carrier,
    motor: EmulatedMotor,
    rotor: RotorParameters,
    /// The battery's voltage.
    millivolts: u16,
    power: Power,
    boots: u32,
    connections: u32,
    connected: bool,
}

/// What the battery gives until somebody changes it.
const FULL_MILLIVOLTS: u16 = 3_000;

#[derive(Debug)]
enum Power {
    On {
        processor: Box<Processor>,
        /// When it came on.
        since: Duration,
    },
    Off {
        memory: Box<Memory>,
        /// When it last came on: the motor's clock goes on without power.
        since: Duration,
    },
    /// Only while one becomes the other.
    Changing,
}

impl World {
    /// A pump with this flash and without power.
    ///
    /// # Errors
    /// When the motor cannot be built.
    pub fn new(build: Build, flash: VirtualFlash, carrier: Carrier) -> Result<Self> {
        let rotor = RotorParameters::faultless(build.seed);
        let motor = EmulatedMotor::new(
            &MotorConfiguration::PROGRAMMABLE_IMPLANT,
            &rotor,
            PumpTime::ZERO,
        )
        .context("the motor cannot be built")?;
        Ok(Self {
            build,
            now: Duration::ZERO,
            carrier,
            motor,
            rotor,
            millivolts: FULL_MILLIVOLTS,
            power: Power::Off {
                memory: Box::new(Memory {
                    flash,
                    retained: None,
                    one_time: commissioned(&build.commissioning)?,
                }),
                since: Duration::ZERO,
            },
            boots: 0,
            connections: 0,
            connected: false,
        })
    }

    /// Time since the world began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Gives power: the pump starts from its flash. Nothing if it has power already.
    ///
    /// # Errors
    /// When the flash or the motor cannot be used at all.
    pub fn power_on(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.power, Power::Changing) {
            Power::Off { memory, .. } => self.boot(*memory, ResetCause::PowerOn),
            Power::On { processor, since } => {
                self.power = Power::On { processor, since };
                Ok(())
            }
            Power::Changing => bail!("the pump has failed to start"),
        }
    }

    fn boot(&mut self, memory: Memory, cause: ResetCause) -> Result<()> {
        if cause == ResetCause::PowerOn {
            self.motor.reboot(PumpTime::ZERO)
        } else {
            self.motor.restart(PumpTime::ZERO)
        }
        .context("the motor does not start")?;
        let key = key(self.build.seed);
        let processor = Box::new(Processor::boot(memory, cause, &key)?);
        self.power = Power::On {
            processor,
            since: self.now,
        };
        self.boots += 1;
        self.advance_to(self.now);
        Ok(())
    }

    /// Resets the processor while it has power: what it retains comes through, orders and link do not. Nothing without power.
    ///
    /// # Errors
    /// As for [`World::power_on`].
    pub fn reset(&mut self, cause: ResetCause) -> Result<()> {
        match std::mem::replace(&mut self.power, Power::Changing) {
            Power::On { processor, since } => {
                self.motor.off(pump_time(self.now, since));
                self.connected = false;
                self.boot(processor.into_memory(), cause)
            }
            other @ (Power::Off { .. } | Power::Changing) => {
                self.power = other;
                Ok(())
            }
        }
    }

    /// Takes power away at once: all but the flash, one-time memory and the rotor's angle is lost, and the link with it.
    pub fn power_off(&mut self) {
        self.power = match std::mem::replace(&mut self.power, Power::Changing) {
            Power::On { processor, since } => {
                self.motor.off(pump_time(self.now, since));
                self.connected = false;
                let mut memory = Box::new(processor.into_memory());
                memory.retained = None;
                Power::Off { memory, since }
            }
            other @ (Power::Off { .. } | Power::Changing) => other,
        };
    }

    /// What the factory has made of it.
    #[must_use]
    pub fn commissioning(&self) -> &CommissioningRecord {
        &self.build.commissioning
    }

    /// How often the pump has started since the world began.
    #[must_use]
    pub fn boots(&self) -> u32 {
        self.boots
    }

    /// When something happens next; never before [`World::now`]. None while the power is off.
    #[must_use]
    pub fn next_event(&self) -> Option<Duration> {
        match &self.power {
            Power::On { processor, since } => {
                let due = processor.due();
                (due < PumpTime::MAX).then(|| world_time(due, *since).max(self.now))
            }
            Power::Off { .. } | Power::Changing => None,
        }
    }

    /// Runs everything that is due by `then`, in order of time. A time that has passed changes nothing but what has come in is dealt
    /// with.
    pub fn advance_to(&mut self, then: Duration) {
        while let Some(next) = self.next_event()
            && next <= then.max(self.now)
        {
            self.now = next;
            let carrier = self.carrier_time();
            if let Power::On { processor, since } = &mut self.power {
                processor.run(&mut Bench {
                    at: pump_time(self.now, *since),
                    carrier,
                    motor: &mut self.motor,
                    millivolts: self.millivolts,
                });
            }
        }
        self.now = self.now.max(then);
        self.motor.advance_to(self.motor_time());
    }

    fn motor_time(&self) -> PumpTime {
        match &self.power {
            Power::On { since, .. } | Power::Off { since, .. } => pump_time(self.now, *since),
            Power::Changing => PumpTime::ZERO,
        }
    }

    /// The link's time.
    #[must_use]
    pub fn carrier_time(&self) -> CarrierTime {
        match (self.carrier, &self.power) {
            (Carrier::Real(time), _) => time,
            (Carrier::Simulated, Power::On { since, .. }) => {
                CarrierTime::from_micros(pump_time(self.now, *since).micros())
            }
            (Carrier::Simulated, Power::Off { .. } | Power::Changing) => CarrierTime::ZERO,
        }
    }

    /// Tells the real time, where the link runs on it.
    pub fn set_carrier_time(&mut self, time: CarrierTime) {
        match &mut self.carrier {
            Carrier::Real(known) => *known = time.max(*known),
            Carrier::Simulated => {}
        }
    }

    /// A phone connects; an earlier one is gone. False while the pump has no power.
    pub fn connect(&mut self, mtu: Mtu) -> bool {
        self.disconnect();
        self.connections = self.connections.wrapping_add(1);
        let session = SessionId(self.connections);
        if let Power::On { processor, .. } = &mut self.power {
            processor.put(Incoming::Opened(session, mtu));
            self.connected = true;
        }
        self.connected
    }

    /// The phone goes.
    pub fn disconnect(&mut self) {
        if self.connected
            && let Power::On { processor, .. } = &mut self.power
        {
            processor.put(Incoming::Closed(SessionId(self.connections)));
        }
        self.connected = false;
    }

    /// The phone writes a frame to Command. It is dealt with when time is next advanced.
    pub fn write_command(&mut self, frame: &[u8]) {
        if let Power::On { processor, .. } = &mut self.power {
            processor.put(Incoming::Frame(frame.to_vec()));
        }
    }

    /// The phone reads Info. Nothing while the pump has no power.
    #[must_use]
    pub fn info(&self) -> Vec<u8> {
        let Power::On { processor, .. } = &self.power else {
            return Vec::new();
        };
        let nonce = nonce(self.build.seed, self.boots, self.connections);
        let situation = processor.situation();
        let info = Info::new(CAPABILITIES, nonce, situation.lifecycle, situation.armed);
        let mut bytes = [0; Info::LIMIT];
        info.encode(&mut bytes)
            .map(<[u8]>::to_vec)
            .unwrap_or_default()
    }

    /// The phone reads Response.
    #[must_use]
    pub fn response(&self) -> Vec<u8> {
        match &self.power {
            Power::On { processor, .. } => processor.response().to_vec(),
            Power::Off { .. } | Power::Changing => Vec::new(),
        }
    }

    /// The phone reads Status changed.
    #[must_use]
    pub fn status_changed(&self) -> u16 {
        match &self.power {
            Power::On { processor, .. } => processor.status_changed(),
            Power::Off { .. } | Power::Changing => 0,
        }
    }

    /// What the pump has said by itself since this was last asked.
    pub fn take_pushed(&mut self) -> Vec<Pushed> {
        match &mut self.power {
            Power::On { processor, .. } => processor.take_pushed(),
            Power::Off { .. } | Power::Changing => Vec::new(),
        }
    }

    /// Changes what the rotor is like from now on.
    pub fn change_rotor(&mut self, change: impl FnOnce(&mut RotorParameters)) {
        change(&mut self.rotor);
        self.motor.change_rotor(self.motor_time(), &self.rotor);
    }

    /// The battery gives this from now on; the pump reads it within the hour.
    pub fn set_supply(&mut self, millivolts: u16) {
        self.millivolts = millivolts;
    }

    /// Tones that were heard since the pump last started, at most the 64 newest, the newest last.
    #[must_use]
    pub fn heard(&self) -> Vec<(PumpTime, Sound)> {
        match &self.power {
            Power::On { processor, .. } => processor.heard().collect(),
            Power::Off { .. } | Power::Changing => Vec::new(),
        }
    }

    /// Steps the rotor has really turned forward since the world began.
    #[must_use]
    pub fn turned_steps(&self) -> u64 {
        u64::try_from(self.motor.turned_steps()).unwrap_or(0)
    }

    /// The pump's event log, oldest first.
    ///
    /// # Errors
    /// When the pump has no power or its flash cannot be read.
    pub fn log(&mut self) -> Result<Vec<LogEntry>> {
        match &mut self.power {
            Power::On { processor, .. } => processor.log(),
            Power::Off { .. } | Power::Changing => bail!("the pump has no power"),
        }
    }

    /// What each partition of the flash went through; nothing while the pump has no power.
    #[must_use]
    pub fn wear(&self) -> Vec<Wear> {
        match &self.power {
            Power::On { processor, .. } => processor.wear(),
            Power::Off { .. } | Power::Changing => Vec::new(),
        }
    }

    /// What the flash went through; nothing while the pump has no power.
    #[must_use]
    pub fn flash_usage(&self) -> Usage {
        match &self.power {
            Power::On { processor, .. } => processor.flash_usage(),
            Power::Off { .. } | Power::Changing => Usage::default(),
        }
    }
}

fn pump_time(now: Duration, since: Duration) -> PumpTime {
    PumpTime::from_micros(now.saturating_sub(since).micros())
}

fn world_time(at: PumpTime, since: Duration) -> Duration {
    since.saturating_add(Duration::from_micros(at.micros()))
}

/// What the factory has burnt into one-time memory.
fn commissioned(record: &CommissioningRecord) -> Result<Option<[u8; ONE_TIME_BYTES]>> {
    match record.bounds() {
        Ok(_) => Ok(record.to_one_time()),
        Err(Some(refusal)) => bail!("no pump is so: {refusal}"),
        Err(None) => bail!("a trial has a length, and nothing else has"),
    }
}

/// The key that signs the ends of the logs. Not secret: whoever has the scenario has the seed.
fn key(seed: u64) -> [u8; 32] {
    let mut key = [0; 32];
    for (number, part) in (0..).zip(key.chunks_exact_mut(8)) {
        part.copy_from_slice(&nonce(seed, u32::MAX, number));
    }
    key
}

/// Eight bytes that differ from connection to connection (SplitMix64; not secret: version 0 has no secrets).
fn nonce(seed: u64, boots: u32, connections: u32) -> [u8; 8] {
    let mut mixed = seed ^ (u64::from(boots) << 32 | u64::from(connections));
    mixed = mixed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)).to_le_bytes()
}
