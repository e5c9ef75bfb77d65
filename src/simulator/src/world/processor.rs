//! One boot of the pump's processor: the pump, its journal and its link session.

use super::{LogEntry, Memory, PackPage, Peer, Pushed, Usage, Wear};
use anyhow::{Context, Result};
use drivers::motor::{
    Allowance, DriveLevel, EmulatedMotor, Faults, Interlock, MotorError, Order,
    REMEMBERED_OF_A_DAY, REMEMBERED_OF_AN_HOUR,
};
use journal::{Envelope, Journal, Log, Partition, Stamp, Tear, Timing};
use protocol::info::capability;
use protocol::{
    Advertise, Answer, CARD_BYTES, Info, Mtu, Received, Reception, Secret, SessionId, Situation,
};
use pump::{
    Action, Event, MotorFaults, MotorStatus, OrderRefusal, Pump, RECORD_BYTES, Record, Recovered,
    ResetCause, Retained, STATE_BYTES, Start, StateKind, StorageReport, storage,
};
use std::collections::VecDeque;
use therapy::{Sound, StepOrder};
use units::{CarrierTime, Duration, Now, PumpTime};

/// The pump arms the interlock for as long as that remembers: else it would trip in the middle of what was prescribed.
const _: () = assert!(
    pump::INTERLOCK_HOUR.micros() == REMEMBERED_OF_AN_HOUR.micros()
        && pump::INTERLOCK_DAY.micros() == REMEMBERED_OF_A_DAY.micros()
);

/// Between two readings of the battery.
const SUPPLY_INTERVAL: Duration = Duration::from_hours(1);
/// Between two calls for which there is no other reason than that the pump asked for it.
const SHORTEST_PAUSE: Duration = Duration::from_micros(1);

/// Something that waits for the processor.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "few wait at a time")]
pub(super) enum Incoming {
    /// The pump's own business.
    Event(Event),
    /// A phone has connected: with so much room in a frame, and what Info says to it; and random bytes for its handshake.
    Opened(SessionId, Mtu, Info, Secret),
    /// A phone wrote a frame.
    Frame(Vec<u8>),
    /// The phone has gone.
    Closed(SessionId),
    /// The magnet has come or gone.
    Magnet(bool),
}

/// What a call of the processor works with.
pub(super) struct Bench<'a> {
    pub(super) at: PumpTime,
    pub(super) carrier: CarrierTime,
    pub(super) motor: &'a mut EmulatedMotor,
    /// The battery's voltage.
    pub(super) millivolts: u16,
}

impl Bench<'_> {
    /// What the prescription in force needs. A refusal shows in the motor's status: the interlock is closed or tripped then.
    fn arm(&mut self, allowance: Allowance) {
        let _ = self.motor.arm(self.at, allowance);
    }

    /// What one authorised bolus or prime needs beside it. Refused, its orders meet the allowance and are refused too.
    fn grant(&mut self, steps: u32, within: Duration) {
        let _ = self.motor.grant(self.at, steps, within);
    }
}

/// One boot. Times are pump time since then.
#[derive(Clone, Debug)]
pub(super) struct Processor {
    pump: Pump,
    boot: u32,
    journal: Journal<journal::VirtualFlash>,
    /// What the journal had repaired when the pump was last told.
    repairs_told: journal::Repairs,
    /// What is in retained RAM.
    retained: Option<Retained>,
    one_time: Option<[u8; pump::ONE_TIME_BYTES]>,
    /// What the production line has given it, until the pump has taken it.
    pack_page: PackPage,
    link: Reception,
    /// The version of the keys that the link has.
    keys_version: u32,
    inbox: VecDeque<Incoming>,
    /// How long a phone holds on to a connection that the pump has ended.
    clings: Duration,
    /// When the carrier knows that such a connection is gone.
    gone_at: Option<CarrierTime>,
    /// When the pump is to be called next if nothing comes in.
    next_call: PumpTime,
    /// When the battery is read next.
    supply_at: PumpTime,
    /// The flash is busy until then, and halts the processor.
    halted_until: PumpTime,
    /// The Status changed flags as they were last seen.
    flags: u16,
    pushed: Vec<Pushed>,
    /// Tones that were heard in this boot, the newest last.
    heard: VecDeque<(PumpTime, Sound)>,
}

/// Most tones that are remembered.
const HEARD: usize = 64;

impl Processor {
    /// Starts from what the memories hold. `key` signs the ends of the logs, if there is none on flash yet.
    pub(super) fn boot(memory: Memory, cause: ResetCause, key: &[u8; 32]) -> Result<Self> {
        let (mut journal, opening) =
            Journal::open(memory.flash).context("the flash does not suit the journal")?;
        let one_time = memory.one_time.unwrap_or([u8::MAX; pump::ONE_TIME_BYTES]);
        let (mut recovered, burn) =
            Recovered::from_journal(&mut journal, &opening, Some(&one_time));
        recovered.basis.pack = memory.pack_page.pack().cloned();
        if !matches!(journal.key(), Ok(Some(_))) {
            // What fails here fails with the next record too, and is told then.
            let _ = journal.make_key(key);
        }
        let start = Start {
            cause,
            retained: memory.retained,
        };
        let pump = Pump::new(recovered, start);
        let situation = situation(&pump, false);
        let mut processor = Self {
            flags: pump.status_changed(),
            boot: opening.boot,
            repairs_told: journal.repairs(),
            journal,
            retained: memory.retained,
            one_time: burn.or(memory.one_time),
            pack_page: memory.pack_page,
            link: Reception::new(situation),
            keys_version: pump.keys_version(),
            inbox: VecDeque::new(),
            clings: Duration::ZERO,
            gone_at: None,
            next_call: PumpTime::MAX,
            supply_at: PumpTime::ZERO,
            halted_until: PumpTime::ZERO,
            pushed: Vec::new(),
            heard: VecDeque::new(),
            pump,
        };
        processor.fill_keyring(CarrierTime::ZERO);
        processor.wait_for_flash(PumpTime::ZERO);
        processor.put(Incoming::Event(Event::Boot));
        Ok(processor)
    }

    /// Something comes in and waits for its turn.
    pub(super) fn put(&mut self, incoming: Incoming) {
        self.inbox.push_back(incoming);
    }

    /// Something waits for its turn.
    pub(super) fn is_busy(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// When [`Processor::run`] is to be called next. `link_at` is when the link's time is due, in the processor's own.
    pub(super) fn due(&self, link_at: Option<PumpTime>) -> PumpTime {
        let wanted = if self.inbox.is_empty() {
            let link_at = link_at.unwrap_or(PumpTime::MAX);
            self.next_call.min(self.supply_at).min(link_at)
        } else {
            PumpTime::ZERO
        };
        wanted.max(self.halted_until)
    }

    /// When the link has something to do though nothing comes in.
    pub(super) fn link_due(&self, carrier: CarrierTime) -> Option<CarrierTime> {
        [self.link.due(carrier), self.gone_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Deals with one thing that came in, or with the passing of time.
    pub(super) fn run(&mut self, bench: &mut Bench<'_>) {
        match self.inbox.pop_front() {
            None if self.supply_at <= bench.at => {
                self.supply_at = bench.at.saturating_add(SUPPLY_INTERVAL);
                let millivolts = bench.millivolts;
                self.tick_and_handle(bench, Event::Supply { millivolts });
            }
            None if self.next_call <= bench.at => self.tick(bench),
            // It is the link that is due.
            None => {}
            // The first event of a boot: nothing has moved yet.
            Some(Incoming::Event(event @ Event::Boot)) => self.handle(bench, event),
            Some(Incoming::Event(event)) => self.tick_and_handle(bench, event),
            Some(Incoming::Opened(session, mtu, info, ephemeral)) => {
                self.link
                    .opened(bench.carrier, session, mtu, &info, ephemeral);
            }
            Some(Incoming::Frame(frame)) => {
                if let Received::Request(request) = self.link.receive(bench.carrier, &frame)
                    && let Some(session) = self.link.session().id()
                    && let Some(caller) = self.link.session().caller()
                {
                    let event = Event::Request {
                        session,
                        caller,
                        request,
                    };
                    self.tick_and_handle(bench, event);
                }
                if let Some(slot) = self.link.session().take_failed() {
                    self.tick_and_handle(bench, Event::AuthenticationFailed { slot });
                }
            }
            Some(Incoming::Closed(session)) => self.closed(bench, session),
            Some(Incoming::Magnet(held)) => self.link.magnet(bench.carrier, held),
        }
        self.look_after_link(bench);
        self.collect_pushed();
    }

    /// The phone has gone. The pump may have ended the connection before.
    fn closed(&mut self, bench: &mut Bench<'_>, session: SessionId) {
        if self.link.closed(session) {
            self.tick_and_handle(bench, Event::LinkClosed { session });
        }
    }

    /// What the passing of the link's time does.
    fn look_after_link(&mut self, bench: &mut Bench<'_>) {
        self.link.pass_time(bench.carrier);
        self.tell_situation(bench.carrier);
        let connection = self.link.connection();
        if let Some((session, over)) = self.link.look(bench.carrier) {
            self.tick_and_handle(bench, Event::LinkClosed { session });
            if connection == Some(session) {
                self.pushed.push(Pushed::HungUp(over));
                self.gone_at = Some(bench.carrier.saturating_add(self.clings));
            }
        }
        if self.gone_at.is_some_and(|gone| bench.carrier >= gone) {
            self.gone_at = None;
            // The session knows already.
            let _ = self.link.disconnected(bench.carrier);
        }
    }

    /// Nobody may wait for it any more; what is done is done.
    fn answer(&mut self, session: SessionId, answer: &Answer) {
        let _ = self.link.session().answer(session, answer);
    }

    fn tell_situation(&mut self, carrier: CarrierTime) {
        let situation = situation(&self.pump, self.link.is_armed(carrier));
        self.link.session().set_situation(situation);
    }

    fn fill_keyring(&mut self, carrier: CarrierTime) {
        self.keys_version = self.pump.keys_version();
        let pump = &self.pump;
        self.link
            .change_keys(carrier, |keyring| pump.fill_keyring(keyring));
    }

    /// What has been delivered comes before what else happens, as in the firmware's delivery thread.
    fn tick_and_handle(&mut self, bench: &mut Bench<'_>, event: Event) {
        self.tick(bench);
        self.handle(bench, event);
    }

    fn tick(&mut self, bench: &mut Bench<'_>) {
        let status = motor_status(bench.motor, bench.at);
        self.handle(bench, Event::Tick(status));
    }

    fn handle(&mut self, bench: &mut Bench<'_>, event: Event) {
        let now = Now {
            pump: bench.at,
            carrier: bench.carrier,
        };
        let actions = self.pump.handle(now, event);
        self.tell_situation(bench.carrier);
        self.retained = Some(self.pump.retained());
        self.next_call = actions
            .next_call()
            .max(bench.at.saturating_add(SHORTEST_PAUSE));
        for action in actions.iter() {
            self.act(bench, action);
        }
        for (session, answer) in actions.answers() {
            self.answer(*session, answer);
        }
        // Behind the answers: one of them may go to somebody whose key is gone with it.
        if self.pump.keys_version() != self.keys_version {
            self.fill_keyring(bench.carrier);
        }
    }

    fn act(&mut self, bench: &mut Bench<'_>, action: &Action) {
        match *action {
            Action::Order { order, level } => {
                if let Err(error) = bench.motor.submit(bench.at, &motor_order(&order, level)) {
                    self.put(Incoming::Event(Event::OrderRefused {
                        order: order.id,
                        refusal: refusal(error),
                    }));
                }
            }
            Action::CancelOrders => {
                // How many steps were made of them is in the next tick.
                let _ = bench.motor.cancel(bench.at);
            }
            Action::Arm {
                hour_steps,
                day_steps,
            } => bench.arm(Allowance {
                hour_steps,
                day_steps,
            }),
            Action::Grant { steps, within } => bench.grant(steps, within),
            Action::Tone(sound) => {
                if self.heard.len() == HEARD {
                    self.heard.pop_front();
                }
                self.heard.push_back((bench.at, sound));
            }
            Action::Persist { ticket, state } => {
                let redundant = self.journal.redundant();
                let event = if self.keep(bench.at, state) {
                    Event::Persisted(ticket)
                } else {
                    Event::PersistFailed(ticket)
                };
                self.put(Incoming::Event(event));
                if redundant && !self.journal.redundant() {
                    // Kept, but only once.
                    self.put(Incoming::Event(Event::Storage(StorageReport::kept_once())));
                }
            }
            Action::Append {
                session,
                ref record,
            } => {
                if self.write(bench.at, session, record).is_err() {
                    self.put(Incoming::Event(Event::AppendFailed));
                }
            }
            Action::Checkpoint(ref record) => {
                if self.write(bench.at, None, record).is_err() {
                    self.put(Incoming::Event(Event::CheckpointFailed));
                }
            }
            Action::Scrub => {
                let report = StorageReport::scrub(&mut self.journal, self.repairs_told);
                self.repairs_told = self.journal.repairs();
                self.wait_for_flash(bench.at);
                self.put(Incoming::Event(Event::Storage(report)));
            }
            Action::ReadLog {
                session,
                id,
                log,
                from,
            } => {
                let outcome = storage::read_log(&mut self.journal, log, from);
                self.answer(session, &Answer { id, outcome });
            }
            Action::SignLog { session, id, log } => {
                let outcome = storage::sign_log(&mut self.journal, log);
                self.answer(session, &Answer { id, outcome });
            }
            Action::ErasePack => {
                self.pack_page.erase();
                let busy = Timing::NRF52840.page_erase;
                self.halted_until = self.halted_until.max(bench.at).saturating_add(busy);
            }
        }
    }

    /// Makes a piece of state durable as the pump has it now. Whether it is.
    fn keep(&mut self, at: PumpTime, state: StateKind) -> bool {
        let mut buffer = [0; STATE_BYTES];
        let stamp = self.stamp(at);
        let Some(kept) = self.pump.kept(state, &mut buffer) else {
            return false;
        };
        let envelope = Envelope {
            kind: kept.kind,
            version: kept.version,
            stamp,
            body: kept.body,
        };
        let written = storage::keep(&mut self.journal, &envelope);
        self.wait_for_flash(at);
        written.is_ok()
    }

    fn stamp(&self, at: PumpTime) -> Stamp {
        Stamp {
            boot: self.boot,
            // Whole seconds take the least room.
            monotonic: PumpTime::from_micros(at.micros() / 1_000_000 * 1_000_000),
            wall: self.pump.clock(at),
        }
    }

    fn write(&mut self, at: PumpTime, session: Option<SessionId>, record: &Record) -> Result<()> {
        let mut body = [0; RECORD_BYTES];
        let body = record.encode(session, &mut body)?;
        let envelope = Envelope {
            kind: record.kind(),
            version: record.version(),
            stamp: self.stamp(at),
            body,
        };
        let written = storage::keep(&mut self.journal, &envelope);
        self.wait_for_flash(at);
        Ok(written?)
    }

    /// The processor stands still for as long as the flash was busy.
    fn wait_for_flash(&mut self, at: PumpTime) {
        let busy = self.journal.flash_mut().take_busy();
        self.halted_until = self.halted_until.max(at).saturating_add(busy);
    }

    /// The session is that of the phone which is there now. A processor that waits for its flash gets to know later that one has gone and
    /// another has come; what it says until then is for nobody.
    fn serves_the_connection(&self) -> bool {
        self.link
            .connection()
            .is_some_and(|connection| self.link.session_id() == Some(connection))
    }

    fn collect_pushed(&mut self) {
        let served = self.serves_the_connection();
        if let Some(fragment) = self.link.session().indication()
            && served
        {
            self.pushed.push(Pushed::Response(fragment.to_vec()));
        }
        let flags = self.pump.status_changed();
        if flags != self.flags {
            self.flags = flags;
            if served {
                self.pushed.push(Pushed::StatusChanged(flags));
            }
        }
    }

    pub(super) fn take_pushed(&mut self) -> Vec<Pushed> {
        std::mem::take(&mut self.pushed)
    }

    pub(super) fn response(&self) -> &[u8] {
        if self.serves_the_connection() {
            self.link.response()
        } else {
            &[]
        }
    }

    /// Such a phone can connect.
    pub(super) fn shows_itself(&self, carrier: CarrierTime, peer: Peer) -> bool {
        match self.link.advertise(carrier) {
            Advertise::Slow | Advertise::Fast => true,
            Advertise::BondedOnly => peer == Peer::Bonded,
            Advertise::No => false,
        }
    }

    /// A phone has connected.
    pub(super) fn connect(
        &mut self,
        carrier: CarrierTime,
        peer: Peer,
        session: SessionId,
        mtu: Mtu,
        nonce: [u8; 8],
        ephemeral: Secret,
    ) {
        let bonded = peer == Peer::Bonded;
        self.link.connected(carrier, session, bonded, nonce);
        let info = self.info(carrier);
        self.put(Incoming::Opened(session, mtu, info, ephemeral));
    }

    /// How often the two meet.
    pub(super) fn pace(&mut self, carrier: CarrierTime, interval: Duration) {
        self.link.paced(carrier, interval);
    }

    /// The connection is encrypted with the keys of a bond.
    pub(super) fn encrypt(&mut self) {
        self.link.secured();
    }

    /// The phone does not acknowledge the end of a connection, for so long.
    pub(super) fn cling(&mut self, time: Duration) {
        self.clings = time;
    }

    /// The phone has gone.
    pub(super) fn disconnect(&mut self, carrier: CarrierTime) {
        self.gone_at = None;
        if let Some(session) = self.link.disconnected(carrier) {
            self.put(Incoming::Closed(session));
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.connection().is_some()
    }

    pub(super) fn info(&self, carrier: CarrierTime) -> Info {
        Info::new(
            capability::VIRTUAL,
            self.link.nonce(),
            self.pump.lifecycle(),
            self.link.is_armed(carrier),
        )
    }

    pub(super) fn is_armed(&self, carrier: CarrierTime) -> bool {
        self.link.is_armed(carrier)
    }

    pub(super) fn is_enrolled(&self) -> bool {
        self.link.is_enrolled()
    }

    /// The emergency card, with presence only.
    pub(super) fn card(&self, at: PumpTime, carrier: CarrierTime) -> Option<Vec<u8>> {
        if !self.link.is_armed(carrier) {
            return None;
        }
        let mut buffer = [0; CARD_BYTES];
        let card = self.pump.card(Now { pump: at, carrier });
        card.encode(&mut buffer).map(<[u8]>::to_vec)
    }

    pub(super) fn status_changed(&self) -> u16 {
        self.flags
    }

    /// Tones that were heard in this boot, the newest last.
    pub(super) fn heard(&self) -> impl Iterator<Item = (PumpTime, Sound)> + '_ {
        self.heard.iter().copied()
    }

    /// See [`journal::VirtualFlash::cut_after`].
    pub(super) fn cut_flash_after(&mut self, operations: u64, tear: Tear) {
        self.journal.flash_mut().cut_after(operations, tear);
    }

    /// The flash has no power any more.
    pub(super) fn flash_is_off(&self) -> bool {
        self.journal.flash().is_off()
    }

    /// The processor stops: what its memories hold then.
    pub(super) fn into_memory(self) -> Memory {
        Memory {
            flash: self.journal.into_flash(),
            retained: self.retained,
            one_time: self.one_time,
            pack_page: self.pack_page,
        }
    }

    /// Every piece of state as it would be kept now.
    pub(super) fn state(&self) -> Vec<(StateKind, Vec<u8>)> {
        let mut buffer = [0; STATE_BYTES];
        let kept = |&state| {
            let kept = self.pump.kept(state, &mut buffer)?;
            Some((state, kept.body.to_vec()))
        };
        StateKind::ALL.iter().filter_map(kept).collect()
    }

    /// Everything in the event log, oldest first.
    pub(super) fn log(&mut self) -> Result<Vec<LogEntry>> {
        let mut entries = Vec::new();
        self.journal
            .read(Log::Events, |record| {
                let envelope = &record.envelope;
                let decoded = Record::decode(envelope.kind, envelope.version, envelope.body);
                entries.push(LogEntry {
                    boot: envelope.stamp.boot,
                    at: envelope.stamp.monotonic,
                    clock: envelope.stamp.wall,
                    kind: envelope.kind.0,
                    record: decoded
                        .map(|(_, record)| record)
                        .map_err(|error| error.to_string()),
                });
            })
            .context("the event log cannot be read")?;
        // Reading takes no time worth modelling.
        Ok(entries)
    }

    pub(super) fn wear(&self) -> Vec<Wear> {
        Partition::ALL
            .map(|partition| Wear {
                partition: partition.name(),
                pages: self.journal.flash().wear(partition).to_vec(),
            })
            .to_vec()
    }

    pub(super) fn flash_usage(&self) -> Usage {
        let mut usage = Usage::default();
        for wear in self.wear() {
            for page in wear.pages {
                usage.words_written += page.words_written;
                usage.page_erases += u64::from(page.erases);
                usage.most_erases_of_a_page = usage.most_erases_of_a_page.max(page.erases);
            }
        }
        usage
    }
}

fn motor_status(motor: &mut EmulatedMotor, at: PumpTime) -> MotorStatus {
    let status = motor.status(at);
    MotorStatus {
        commanded_steps: status.commanded_steps,
        counted_steps: status.counted_steps(),
        faults: MotorFaults {
            interlock_tripped: status.interlock == Interlock::Tripped,
            driver_failed: status.faults.contains(Faults::HARDWARE),
        },
    }
}

fn motor_order(order: &StepOrder, level: u8) -> Order {
    Order {
        first_at: order.first_at,
        period_ns: order.period_ns,
        id: order.id,
        steps: order.steps,
        level: DriveLevel::from_number(level).unwrap_or(DriveLevel::Nominal),
    }
}

fn refusal(error: MotorError) -> OrderRefusal {
    match error {
        MotorError::Invalid => OrderRefusal::Invalid,
        MotorError::Busy => OrderRefusal::Busy,
        MotorError::Closed => OrderRefusal::InterlockClosed,
        MotorError::NotArmed => OrderRefusal::NotArmed,
        MotorError::Ceiling | MotorError::Allowance => OrderRefusal::OverCeiling,
        MotorError::Absent | MotorError::Unexpected => OrderRefusal::Failed,
    }
}

/// What the link has to know of the pump.
fn situation(pump: &Pump, armed: bool) -> Situation {
    Situation {
        lifecycle: pump.lifecycle(),
        armed,
        alarm: pump.critical_alarm(),
    }
}
