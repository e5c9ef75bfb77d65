//! The world of a virtual pump: its hardware, its processor with the pump's own program, and time.
//!
//! One deterministic loop over events: [`World::advance_to`] runs everything that is due, in order of time, and what the pump
//! wants done is done in the order in which it says so. The motor's steps are timed by its own core in C and never wait for the
//! processor; the processor waits while the flash is busy, as a real one is halted by a page erase.

mod pack_page;
mod processor;
mod random;

pub use pack_page::PackPage;
pub use protocol::Over;
pub use random::Chance;
pub(crate) use random::Random;

use anyhow::{Context, Result, bail};
use drivers::motor::{EmulatedMotor, MotorConfiguration, RotorParameters};
use journal::{PageWear, Partition, Tear, VirtualFlash};
use processor::{Bench, Incoming, Processor};
use protocol::{Info, Mtu, Pack, SessionId};
use pump::{CommissioningRecord, ONE_TIME_BYTES, Record, ResetCause, Retained, StateKind};
use serde::Serialize;
use therapy::Sound;
use units::{CarrierTime, Clock, Duration, PumpTime};

/// What a pump is built of.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// What the factory makes of it: kind and calibration.
    pub commissioning: CommissioningRecord,
    /// Where chance starts: the rotor's, and what is [`Chance::Seeded`].
    pub seed: u64,
    /// Where keys and the link's random bytes come from.
    pub chance: Chance,
}

/// Sets chance of the world and of what its pump is given on the production line apart.
const PRODUCTION_LINE: u64 = 0x7061_636b;

impl Build {
    /// What the production line gives such a pump. Each time something else, unless chance is [`Chance::Seeded`].
    #[must_use]
    pub fn pack(&self) -> Pack {
        Random::new(self.chance, self.seed ^ PRODUCTION_LINE).pack()
    }
}

/// What the pump says by itself to a phone that is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// An indication of Response: a new fragment.
    Response(Vec<u8>),
    /// A notification of Status changed: the flags.
    StatusChanged(u16),
    /// The pump has ended the connection, and why. No phone is told so; it only loses the connection.
    HungUp(Over),
}

/// Who a phone is for the radio: what is above, the session, does not know the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Its address is that of no bond.
    Stranger,
    /// Its address is that of a bond. Anybody can send it; see [`World::encrypt`].
    Bonded,
}

/// What the link's time-outs run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Simulated time since the pump's start, and what [`World::pass_link_time`] adds: the phone lives in it too.
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
#[derive(Clone, Debug)]
struct Memory {
    flash: VirtualFlash,
    /// What came through a reset in RAM.
    retained: Option<Retained>,
    /// What was burnt into one-time memory; none while it is blank.
    one_time: Option<[u8; ONE_TIME_BYTES]>,
    /// What is in the partition `pack`.
    pack_page: PackPage,
}

/// What the flash of one partition went through since the world began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wear {
    /// Its name in the device tree.
    pub partition: &'static str,
    /// What each of its pages went through.
    pub pages: Vec<PageWear>,
}

/// A virtual pump and its time. A clone is another pump, from then on apart from this one: it has the same keys, its chance goes the same way,
/// and what it keeps it keeps in memory.
#[derive(Clone, Debug)]
pub struct World {
    build: Build,
    now: Duration,
    carrier: Carrier,
    /// What the link's time is ahead of the simulated one.
    ahead: Duration,
    random: Random,
    motor: EmulatedMotor,
    rotor: RotorParameters,
    /// The battery's voltage.
    millivolts: u16,
    power: Power,
    /// The power fails with that of the flash.
    fails: bool,
    boots: u32,
    connections: u32,
}

/// What the battery gives until somebody changes it.
const FULL_MILLIVOLTS: u16 = 3_000;

#[derive(Clone, Debug)]
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
    /// A pump with this flash and without power. Comes with [`Build::pack`] if the flash is new, as from the production line.
    ///
    /// # Errors
    /// When the motor cannot be built.
    pub fn new(build: Build, flash: VirtualFlash, carrier: Carrier) -> Result<Self> {
        let pack_page = if is_new(&flash) {
            PackPage::in_memory(build.pack())
        } else {
            PackPage::erased()
        };
        Self::with_pack(build, flash, pack_page, carrier)
    }

    /// A pump with this flash, its partition `pack` apart, and without power.
    ///
    /// # Errors
    /// When the motor cannot be built.
    pub fn with_pack(
        build: Build,
        flash: VirtualFlash,
        pack_page: PackPage,
        carrier: Carrier,
    ) -> Result<Self> {
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
            ahead: Duration::ZERO,
            random: Random::new(build.chance, build.seed),
            motor,
            rotor,
            millivolts: FULL_MILLIVOLTS,
            power: Power::Off {
                memory: Box::new(Memory {
                    flash,
                    retained: None,
                    one_time: commissioned(&build.commissioning)?,
                    pack_page,
                }),
                since: Duration::ZERO,
            },
            fails: false,
            boots: 0,
            connections: 0,
        })
    }

    /// A pump as it is before it is commissioned: the production line has given it keys, and nobody has made it one of a kind.
    /// What [`Build::commissioning`] says is what it is meant to become.
    ///
    /// # Errors
    /// As for [`World::new`].
    pub fn not_commissioned(build: Build, flash: VirtualFlash, carrier: Carrier) -> Result<Self> {
        let mut world = Self::new(build, flash, carrier)?;
        if let Power::Off { memory, .. } = &mut world.power {
            memory.one_time = None;
        }
        Ok(world)
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
        let log_key = self.random.secret();
        let processor = Box::new(Processor::boot(memory, cause, log_key.bytes())?);
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
                self.boot(processor.into_memory(), cause)
            }
            other @ (Power::Off { .. } | Power::Changing) => {
                self.power = other;
                Ok(())
            }
        }
    }

    /// Lets the power fail within a write of the flash or an erase, after so many more of them ([`VirtualFlash::cut_after`]), and with that of the
    /// flash everything else's. [`World::power_on`] gives it back. Nothing without power.
    pub fn fail_power_after(&mut self, operations: u64, tear: Tear) {
        if let Power::On { processor, .. } = &mut self.power {
            processor.cut_flash_after(operations, tear);
            self.fails = true;
        }
    }

    /// Takes power away at once: all but the flash, one-time memory and the rotor's angle is lost, and the link with it.
    pub fn power_off(&mut self) {
        self.power = match std::mem::replace(&mut self.power, Power::Changing) {
            Power::On { processor, since } => {
                self.motor.off(pump_time(self.now, since));
                let mut memory = Box::new(processor.into_memory());
                memory.retained = None;
                if std::mem::take(&mut self.fails) {
                    memory.flash.power_on();
                }
                Power::Off { memory, since }
            }
            other @ (Power::Off { .. } | Power::Changing) => other,
        };
    }

    /// What it is built of.
    #[must_use]
    pub const fn build(&self) -> &Build {
        &self.build
    }

    /// What the factory has made of it.
    #[must_use]
    pub fn commissioning(&self) -> &CommissioningRecord {
        &self.build.commissioning
    }

    /// The pump has power.
    #[must_use]
    pub const fn has_power(&self) -> bool {
        matches!(self.power, Power::On { .. })
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
                let link_due = processor.link_due(self.carrier_time());
                let link_at = link_due.and_then(|due| self.link_at(due));
                let due = processor.due(link_at);
                (due < PumpTime::MAX).then(|| world_time(due, *since).max(self.now))
            }
            Power::Off { .. } | Power::Changing => None,
        }
    }

    /// When a moment of the link's time comes, in the pump's: none when that cannot be told before it is there.
    fn link_at(&self, due: CarrierTime) -> Option<PumpTime> {
        match self.carrier {
            Carrier::Simulated => {
                let ahead = self.ahead.micros();
                Some(PumpTime::from_micros(due.micros().saturating_sub(ahead)))
            }
            Carrier::Real(now) => (due <= now).then_some(PumpTime::ZERO),
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
                if self.fails && processor.flash_is_off() {
                    self.power_off();
                }
            }
        }
        self.now = self.now.max(then);
        self.motor.advance_to(self.motor_time());
    }

    /// Lets time pass until the pump has dealt with everything that came in.
    pub fn settle(&mut self) {
        while let Power::On { processor, .. } = &self.power
            && processor.is_busy()
            && let Some(next) = self.next_event()
        {
            self.advance_to(next);
        }
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
                    .saturating_add(self.ahead)
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

    /// Lets time pass for the link and for nothing else: what somebody does at the patient's side need not take time of a therapy.
    pub fn pass_link_time(&mut self, time: Duration) {
        match &mut self.carrier {
            Carrier::Real(known) => *known = known.saturating_add(time),
            Carrier::Simulated => self.ahead = self.ahead.saturating_add(time),
        }
    }

    /// Whether a phone can connect: the pump has power and shows itself to it. It does not for a while when phones came that it did not let in
    /// ([`protocol::admission`]), nor while one is connected.
    #[must_use]
    pub fn shows_itself(&self, peer: Peer) -> bool {
        let carrier = self.carrier_time();
        match &self.power {
            Power::On { processor, .. } => processor.shows_itself(carrier, peer),
            Power::Off { .. } | Power::Changing => false,
        }
    }

    /// A phone connects that the pump has no bond with; an earlier one is gone. False while the pump has no power or does not show itself.
    pub fn connect(&mut self, mtu: Mtu) -> bool {
        self.connect_as(Peer::Stranger, mtu, None)
    }

    /// As [`World::connect`], for any phone. A radio has an `interval` at which the two meet; a socket has none, and the phone the whole time.
    pub fn connect_as(&mut self, peer: Peer, mtu: Mtu, interval: Option<Duration>) -> bool {
        self.disconnect();
        let carrier = self.carrier_time();
        let Power::On { processor, .. } = &mut self.power else {
            return false;
        };
        if !processor.shows_itself(carrier, peer) {
            return false;
        }
        self.connections = self.connections.wrapping_add(1);
        let session = SessionId(self.connections);
        let nonce = self.random.nonce();
        let ephemeral = self.random.secret();
        processor.connect(carrier, peer, session, mtu, nonce, ephemeral);
        if let Some(interval) = interval {
            processor.pace(carrier, interval);
        }
        true
    }

    /// The connection is encrypted with the keys of a bond: whoever is there has more than a bonded phone's address.
    pub fn encrypt(&mut self) {
        if let Power::On { processor, .. } = &mut self.power {
            processor.encrypt();
        }
    }

    /// A phone is connected; the pump ends a connection by itself too.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match &self.power {
            Power::On { processor, .. } => processor.is_connected(),
            Power::Off { .. } | Power::Changing => false,
        }
    }

    /// The phone goes.
    pub fn disconnect(&mut self) {
        let carrier = self.carrier_time();
        if let Power::On { processor, .. } = &mut self.power {
            processor.disconnect(carrier);
        }
    }

    /// A magnet is brought over the pump, or taken away. It counts when time is next advanced.
    pub fn magnet(&mut self, held: bool) {
        if let Power::On { processor, .. } = &mut self.power {
            processor.put(Incoming::Magnet(held));
        }
    }

    /// The presence window is open.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        let carrier = self.carrier_time();
        match &self.power {
            Power::On { processor, .. } => processor.is_armed(carrier),
            Power::Off { .. } | Power::Changing => false,
        }
    }

    /// The sterile pack has done what it is for: a clinician's key was granted with it.
    #[must_use]
    pub fn is_enrolled(&self) -> bool {
        match &self.power {
            Power::On { processor, .. } => processor.is_enrolled(),
            Power::Off { .. } | Power::Changing => false,
        }
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
        let mut bytes = [0; Info::LIMIT];
        processor
            .info(self.carrier_time())
            .encode(&mut bytes)
            .map(<[u8]>::to_vec)
            .unwrap_or_default()
    }

    /// The phone reads the Emergency card: there only with presence.
    #[must_use]
    pub fn card(&self) -> Option<Vec<u8>> {
        match &self.power {
            Power::On { processor, since } => {
                processor.card(pump_time(self.now, *since), self.carrier_time())
            }
            Power::Off { .. } | Power::Changing => None,
        }
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

    /// From now on no phone acknowledges that the pump ends a connection: the radio takes so long to know it gone, the supervision time-out that a phone may
    /// choose. Zero is a phone that does.
    pub fn cling(&mut self, time: Duration) {
        if let Power::On { processor, .. } = &mut self.power {
            processor.cling(time);
        }
    }

    /// Every piece of the pump's state as it would be kept now; nothing while the pump has no power.
    #[must_use]
    pub fn state(&self) -> Vec<(StateKind, Vec<u8>)> {
        match &self.power {
            Power::On { processor, .. } => processor.state(),
            Power::Off { .. } | Power::Changing => Vec::new(),
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

/// Whether nothing was ever written to it.
fn is_new(flash: &VirtualFlash) -> bool {
    Partition::ALL.into_iter().all(|partition| {
        flash
            .contents(partition)
            .iter()
            .all(|byte| *byte == u8::MAX)
    })
}
