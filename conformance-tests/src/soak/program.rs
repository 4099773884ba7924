//! The soak as a program: the test target of the suite, with other variables in its environment.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::{Soak, SoakReport, check_soak, soak};
use crate::{BoxError, Harness};

/// Soaks the store where the environment asks for it; what the program exits with is given then.
#[doc(hidden)]
#[must_use]
pub fn soak_program(harness: impl FnOnce() -> Arc<dyn Harness>) -> Option<ExitCode> {
    let report = match Asked::read(|name| std::env::var(format!("ANNALIST_SOAK_{name}")).ok()) {
        Ok(None) => return None,
        Ok(Some(Asked::Check(dir))) => check_soak(&dir).map_err(BoxError::from),
        Ok(Some(Asked::Run(asked))) => run(harness(), &asked),
        Err(message) => Err(message.into()),
    };
    Some(match report {
        Ok(report) => {
            println!("{report}");
            if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let causes = std::iter::successors(error.source(), |&error| error.source());
            eprintln!("{error}");
            causes.for_each(|cause| eprintln!("because: {cause}"));
            ExitCode::FAILURE
        }
    })
}

fn run(harness: Arc<dyn Harness>, asked: &Soak) -> Result<SoakReport, BoxError> {
    const STOP_TIME_MAX: Duration = Duration::from_secs(5);
    println!(
        "soaking {} for {:.1} minutes, seed {}, into {}",
        harness.name(),
        asked.duration.as_secs_f64() / 60.0,
        asked.seed,
        asked.dir.display()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(soak(harness.clone(), asked));
    // What the harness cleans up, it cleans up within the runtime.
    let inside = runtime.enter();
    drop(harness);
    drop(inside);
    runtime.shutdown_timeout(STOP_TIME_MAX);
    report
}

/// What the environment asks for.
#[derive(PartialEq, Debug)]
enum Asked {
    Check(PathBuf),
    Run(Soak),
}

impl Asked {
    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        if let Some(dir) = get("CHECK") {
            return Ok(Some(Self::Check(dir.into())));
        }
        let Some(minutes) = number::<f64>(get("MINUTES"), "MINUTES")? else { return Ok(None) };
        let dir = get("DIR").ok_or("ANNALIST_SOAK_DIR must name a folder")?;
        let mut soak = Soak::into(dir);
        soak.duration = Duration::try_from_secs_f64(minutes * 60.0)
            .map_err(|_| format!("ANNALIST_SOAK_MINUTES is no length of time: {minutes}"))?;
        soak.seed = number(get("SEED"), "SEED")?.unwrap_or(soak.seed);
        soak.rate = number(get("RATE"), "RATE")?.unwrap_or(soak.rate);
        Ok(Some(Self::Run(soak)))
    }
}

fn number<T: FromStr>(value: Option<String>, name: &str) -> Result<Option<T>, String> {
    let parsed =
        value.map(|value| value.parse().map_err(|_| format!("ANNALIST_SOAK_{name} is no number: {value}")));
    parsed.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Asked>, String> {
        Asked::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_asks() {
        assert_eq!(read(&[("SEED", "7")]), Ok(None));
        assert_eq!(read(&[("CHECK", "out")]), Ok(Some(Asked::Check("out".into()))));
        let asked = read(&[("MINUTES", "0.5"), ("DIR", "out"), ("SEED", "7"), ("RATE", "90")]);
        let soak = Soak { seed: 7, rate: 90, duration: Duration::from_secs(30), ..Soak::into("out") };
        assert_eq!(asked, Ok(Some(Asked::Run(soak))));
        assert!(read(&[("MINUTES", "1")]).is_err());
        assert!(read(&[("MINUTES", "-1"), ("DIR", "out")]).is_err());
        assert!(read(&[("MINUTES", "1"), ("DIR", "out"), ("SEED", "seven")]).is_err());
    }
}
