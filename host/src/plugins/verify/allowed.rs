//! Whether the operator grants what a kind asks for, by its descriptor or by its imports.

use super::{Described, OUTGOING, SECRETS};
use crate::plugins::capability::Capability;
use crate::plugins::failure::Problem;
use crate::plugins::grants::{self, Grants};
use crate::plugins::settings::Settings;
use crate::plugins::types::{FileInfo, Role};

/// The grants of the kind, when they hold all that it asks for.
pub(super) fn check(settings: &Settings, file: &FileInfo, role: Role, new: &Described) -> Result<Grants, Problem> {
    let granted = settings.grants(&new.kind);
    if let Some(asked) = new.capabilities.iter().find(|asked| !granted.allows(asked)) {
        return Err(refused(file, &new.kind, asked, "asks for"));
    }
    if role != Role::Activity && new.capabilities.contains(&Capability::Http) {
        return Err(Problem::new(
            &file.path,
            format!(
                "kind `{}` asks for `http` and is a {role}: only an activity may wait",
                new.kind
            ),
            "make it an activity, or let it give commands",
        ));
    }
    if imports(file, SECRETS) && granted.secrets.is_empty() {
        let asked = Capability::Secret("NAME".to_owned());
        return Err(refused(
            file,
            &new.kind,
            &asked,
            "imports grepx:plugin/secrets and so asks for",
        ));
    }
    if let Some(unknown) = granted.secrets.iter().find(|one| !settings.secrets.knows(&one.name)) {
        let name = &unknown.name;
        return Err(Problem::new(
            &file.path,
            format!(
                "kind `{}` is granted the secret `{name}`, which the configuration does not have",
                new.kind
            ),
            format!("add under secrets: `{name}: {{env: VARIABLE}}` or `{name}: {{file: PATH}}`"),
        ));
    }
    Ok(granted)
}

pub(super) fn refused(file: &FileInfo, kind: &str, asked: &Capability, how: &str) -> Problem {
    Problem::new(
        &file.path,
        format!("kind `{kind}` {how} `{asked}`, which is not granted"),
        format!(
            "add under plugins.grants: `{}` if it may, or remove the file",
            grants::line(kind, asked)
        ),
    )
}

/// Whether requests of the kind go out.
pub(super) fn sends(file: &FileInfo, role: Role, grants: &Grants) -> bool {
    role == Role::Activity && grants.http.is_some() && imports(file, OUTGOING)
}

/// Components of interpreted languages import HTTP whether they use it or not, so that alone is no
/// reason to refuse one.
pub(super) fn note(file: &FileInfo, role: Role, new: &Described, grants: &Grants) -> Option<String> {
    let silent = imports(file, OUTGOING) && !sends(file, role, grants);
    silent.then(|| {
        let line = grants::line(&new.kind, &Capability::Http);
        match role {
            Role::Activity => format!("imports wasi:http; its requests are denied without plugins.grants `{line}`"),
            _ => format!("imports wasi:http; its requests are denied because it is a {role}"),
        }
    })
}

fn imports(file: &FileInfo, interface: &str) -> bool {
    file.imports
        .iter()
        .any(|import| import.split('@').next() == Some(interface))
}
