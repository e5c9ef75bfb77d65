//! The virtual pump as a loopback server, for the phone page (`docs/virtual-pump.md`).

mod attribute;
mod guard;
mod image;
mod link;
mod machine;
mod pace;
mod paper;
mod simulation;

pub(crate) use attribute::Attribute;
pub use pace::{HIGHEST_SPEED, LOWEST_SPEED};

use crate::world::{Build, Carrier, Chance, PackPage, World};
use anyhow::{Context, Result, anyhow, ensure};
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
use image::Kept;
use journal::VirtualFlash;
use machine::{Machine, Order};
use paper::Paper;
use pump::CommissioningRecord;
use std::future::IntoFuture;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::{Duration as RealTime, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tower_http::services::ServeDir;
use units::CarrierTime;

/// How long open connections have to end.
const FAREWELL: RealTime = RealTime::from_secs(2);

/// What `thecal serve` was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// On 127.0.0.1; 0 for any.
    pub port: u16,
    /// At the start.
    pub speed: u32,
    /// The phone page.
    pub page: Option<PathBuf>,
    /// The flash image.
    pub flash: Option<PathBuf>,
}

/// What every request can reach.
#[derive(Clone)]
struct App {
    orders: Sender<Order>,
    stopping: watch::Receiver<bool>,
    /// Ends when the last of them is dropped.
    _open: mpsc::Sender<()>,
    since_unix_ms: u64,
    flash_is_kept: bool,
}

/// Serves until a signal asks it to stop.
///
/// # Errors
/// A port that is taken, a page that is not there, a flash image that cannot be used.
pub fn serve(options: Options) -> Result<()> {
    if let Some(page) = &options.page {
        check_page(page)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the server cannot be started")?;
    runtime.block_on(async {
        let listener = listen(options.port).await?;
        let mut machine = start(&options)?;
        let served = answer(listener, &options, &mut machine).await;
        let stopped = machine.stop();
        served.and(stopped)
    })
}

fn check_page(page: &Path) -> Result<()> {
    let index = page.join("index.html");
    ensure!(page.is_dir(), "--page: {} is not a folder", page.display());
    ensure!(
        index.is_file(),
        "--page: {} holds no index.html; build the page first (scripts/run does)",
        page.display()
    );
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!("port {port} of 127.0.0.1 is in use; choose another with --port, or 0 for any free one"),
        ErrorKind::PermissionDenied => anyhow!("port {port} needs rights that this user does not have; choose another with --port"),
        _ => anyhow!(error).context(format!("--port: cannot listen on {address}")),
    })
}

fn start(options: &Options) -> Result<Machine> {
    let build = Build {
        commissioning: CommissioningRecord::NOMINAL,
        seed: unix_ms(),
        chance: Chance::System,
    };
    let kept = match &options.flash {
        Some(path) => image::open_or_make(path, &build)?,
        None => {
            let pack = build.pack();
            Kept {
                flash: VirtualFlash::nrf52840(),
                paper: Paper::in_memory(pack.text()),
                pack_page: PackPage::in_memory(pack),
            }
        }
    };
    let Kept {
        flash,
        pack_page,
        paper,
    } = kept;
    let carrier = Carrier::Real(CarrierTime::ZERO);
    let mut world = World::with_pack(build, flash, pack_page, carrier)?;
    world.power_on()?;
    Machine::start(world, paper, options.speed)
}

async fn answer(listener: TcpListener, options: &Options, machine: &mut Machine) -> Result<()> {
    let port = listener
        .local_addr()
        .context("the server's own address")?
        .port();
    let (stop, stopping) = watch::channel(false);
    let (open, mut all_closed) = mpsc::channel(1);
    let app = App {
        orders: machine.orders(),
        stopping: stopping.clone(),
        _open: open,
        since_unix_ms: unix_ms(),
        flash_is_kept: options.flash.is_some(),
    };
    let router = router(app, options.page.as_deref(), port);
    say(&format!(
        "Virtual pump on http://127.0.0.1:{port}/ (link: ws://127.0.0.1:{port}/link), {} x real time. Ctrl-C stops it.",
        options.speed
    ));
    if let Some(line) = machine.paper_line() {
        say(line);
    }
    let mut stopping = stopping;
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(async move { link::stopped(&mut stopping).await });
    let signal = stop_signal()?;
    let crash = machine.crash();
    let server = server.into_future();
    tokio::pin!(server);
    tokio::select! {
        ended = &mut server => ended.context("the server has failed")?,
        // What has happened is said when the machine is stopped.
        () = crash => {}
        () = signal => {
            stop.send_replace(true);
            // Whoever does not end in time is cut off.
            let _ = tokio::time::timeout(FAREWELL, async {
                let _ = server.await;
                let _ = all_closed.recv().await;
            })
            .await;
        }
    }
    Ok(())
}

fn router(app: App, page: Option<&Path>, port: u16) -> Router {
    let router = Router::new()
        .route("/link", get(link::link))
        .route(
            "/simulation",
            get(simulation::show).post(simulation::change),
        )
        .route("/simulation/pack", get(simulation::pack));
    let router = match page {
        Some(page) => router.fallback_service(ServeDir::new(page)),
        None => router.route("/", get(move || async move {
            format!("A virtual pump without a page (--page DIR). Its link: ws://127.0.0.1:{port}/link\n")
        })),
    };
    router
        .layer(map_response(fresh))
        .layer(from_fn_with_state(guard::Guard::new(port), guard::guard))
        .with_state(app)
}

/// A line on standard output. Whoever reads it may have read enough.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A page that was built anew is shown anew, and nothing is taken for something else than it says.
async fn fresh(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Ends when the user (SIGINT) or the system (SIGTERM) asks.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("SIGTERM cannot be listened for")?;
    #[cfg(unix)]
    let terminated = async move { terminated.recv().await };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<Option<()>>();
    Ok(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated => {}
        }
    })
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
