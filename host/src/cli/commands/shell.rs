//! What a shell and `man` want to know of the command line: both are made from its definition, so
//! they cannot say anything else than `--help`.

use std::path::Path;

use anyhow::Context as _;
use clap_complete::aot;
use serde_json::json;

use crate::cli::arguments::Shell;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::out;

pub(crate) fn completion(mut command: clap::Command, shell: Shell, json: bool) -> Done {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    let shell = match shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    aot::generate(shell, &mut command, name, &mut script);
    let script = String::from_utf8_lossy(&script);
    match json {
        true => out::json(&json!({"script": script})),
        false => out::raw(script),
    }
    Ok(Exit::Ok)
}

pub(crate) fn man(command: clap::Command, dir: &Path, json: bool) -> Done {
    let pages = write(command, dir).map_err(Failure::broken)?;
    if json {
        out::json(&json!({"dir": dir, "pages": pages}));
    } else {
        out::line(format!("{pages} manual pages in {}", dir.display()));
        out::note(format!("read one with: man {}/grepx-host.1", dir.display()));
    }
    Ok(Exit::Ok)
}

fn write(command: clap::Command, dir: &Path) -> anyhow::Result<usize> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(command, dir)
        .with_context(|| format!("cannot write the manual pages into {}", dir.display()))?;
    let pages = std::fs::read_dir(dir)?.filter_map(Result::ok);
    Ok(pages
        .filter(|page| page.path().extension().is_some_and(|extension| extension == "1"))
        .count())
}
