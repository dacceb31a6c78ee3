//! What can be asked over the socket: one table, from which requests are
//! understood and the OpenAPI description is made.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::answer::Refusal;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Schema,
    OpenApi,
    Settings,
    Patch,
    Unset,
    Transactions,
    Transaction,
    PatchTransaction,
    DropTransaction,
    Commit,
    Confirm,
    GoBack,
    Undo,
    History,
    Audit,
    UserData,
    Apply,
    Check,
    Status,
    Services,
    Logs,
    Boot,
    Slots,
    Report,
    Update,
    UpdateCheck,
    UpdateInstall,
    UpdateCancel,
    UpdateRollBack,
    UpdateLiftHold,
    UpdateArchivePut,
    UpdateArchiveImport,
    UpdateArchiveForget,
    UpdateRestart,
    UpdateScrub,
}

impl Ask {
    /// What another program calls it, the one that looks at the running system or
    /// the updater; `None`: it is about settings.
    pub const fn subject(self) -> Option<&'static str> {
        match self {
            Self::Services => Some("services"),
            Self::Logs => Some("logs"),
            Self::Boot => Some("boot"),
            Self::Slots => Some("slots"),
            Self::Report => Some("report"),
            Self::Update => Some("update"),
            Self::UpdateCheck => Some("update-check"),
            Self::UpdateInstall => Some("update-install"),
            Self::UpdateCancel => Some("update-cancel"),
            Self::UpdateRollBack => Some("update-roll-back"),
            Self::UpdateLiftHold => Some("update-lift-hold"),
            Self::UpdateArchivePut => Some("update-archive-put"),
            Self::UpdateArchiveImport => Some("update-archive-import"),
            Self::UpdateArchiveForget => Some("update-archive-forget"),
            Self::UpdateRestart => Some("update-restart"),
            Self::UpdateScrub => Some("update-scrub"),
            _ => None,
        }
    }
}

/// How it is asked.
pub struct Route {
    pub method: &'static str,
    /// A part in braces stands for a name.
    pub path: &'static str,
    pub ask: Ask,
    pub summary: &'static str,
    /// Names of what may follow the question mark, with what they mean.
    pub query: &'static [(&'static str, &'static str)],
    /// What the body is; empty: there is none.
    pub body: &'static str,
    /// Whether it changes anything, and so is in the audit log.
    pub changes: bool,
}

impl Route {
    /// # Errors
    /// Something follows the question mark that has no place here.
    pub(crate) fn check_query(&self, query: &BTreeMap<String, String>) -> Result<(), Refusal> {
        match query.keys().find(|key| self.query.iter().all(|(name, _)| name != key)) {
            Some(key) => Err(Refusal::new(400, "query", format!("{} has no '{key}'", self.path))),
            None => Ok(()),
        }
    }
}

const MESSAGE: (&str, &str) = ("message", "What to say of it in the history.");
const CONFIRM: (&str, &str) = ("confirm", "Go back unless confirmed within so many seconds.");
const WITHIN: (&str, &str) = ("within", "Only what is within this setting or group.");

pub const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/v1/schema",
        ask: Ask::Schema,
        summary: "What may be set.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/openapi.json",
        ask: Ask::OpenApi,
        summary: "This description.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/settings",
        ask: Ask::Settings,
        summary: "The settings, without secrets.",
        query: &[WITHIN, ("view", "`effective` (default): with defaults; `set`: what somebody set.")],
        body: "",
        changes: false,
    },
    Route {
        method: "PATCH",
        path: "/v1/settings",
        ask: Ask::Patch,
        summary: "Sets what the body names and leaves the rest; null unsets. All of it or nothing.",
        query: &[MESSAGE, CONFIRM],
        body: "settings",
        changes: true,
    },
    Route {
        method: "DELETE",
        path: "/v1/settings",
        ask: Ask::Unset,
        summary: "Unsets a setting or a group: the defaults hold.",
        query: &[WITHIN, MESSAGE, CONFIRM],
        body: "",
        changes: true,
    },
    Route {
        method: "GET",
        path: "/v1/transactions",
        ask: Ask::Transactions,
        summary: "Changes that are being collected.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/transactions/{name}",
        ask: Ask::Transaction,
        summary: "What committing it would change.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "PATCH",
        path: "/v1/transactions/{name}",
        ask: Ask::PatchTransaction,
        summary: "Adds changes to it, and begins it if need be.",
        query: &[],
        body: "settings",
        changes: true,
    },
    Route {
        method: "DELETE",
        path: "/v1/transactions/{name}",
        ask: Ask::DropTransaction,
        summary: "Forgets it.",
        query: &[],
        body: "",
        changes: true,
    },
    Route {
        method: "POST",
        path: "/v1/transactions/{name}/commit",
        ask: Ask::Commit,
        summary: "Makes its changes, all or none.",
        query: &[MESSAGE, CONFIRM],
        body: "",
        changes: true,
    },
    Route {
        method: "POST",
        path: "/v1/confirm",
        ask: Ask::Confirm,
        summary: "Keeps settings that would go back by themselves.",
        query: &[],
        body: "",
        changes: true,
    },
    Route {
        method: "POST",
        path: "/v1/go-back",
        ask: Ask::GoBack,
        summary: "From settings that are not confirmed to those before them, now.",
        query: &[],
        body: "",
        changes: true,
    },
    Route {
        method: "POST",
        path: "/v1/undo",
        ask: Ask::Undo,
        summary: "To the settings of an older generation.",
        query: &[("to", "Its number; default: the one before."), MESSAGE],
        body: "",
        changes: true,
    },
    Route {
        method: "GET",
        path: "/v1/history",
        ask: Ask::History,
        summary: "Generations of the settings, newest first, each with what it changed.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/audit",
        ask: Ask::Audit,
        summary: "Who asked for changes and what came of it, newest first.",
        query: &[("most", "How many; default: 100.")],
        body: "",
        changes: false,
    },
    Route {
        method: "POST",
        path: "/v1/user-data",
        ask: Ask::UserData,
        summary: "Sets what user data says, once: the same text again changes nothing. The body is TOML.",
        query: &[("source", "Where it is from.")],
        body: "text",
        changes: true,
    },
    Route {
        method: "POST",
        path: "/v1/apply",
        ask: Ask::Apply,
        summary: "Writes the files anew from the present settings and from what is known of the node.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "POST",
        path: "/v1/check",
        ask: Ask::Check,
        summary: "What would become of the settings under another version's schema.",
        query: &[],
        body: "schema",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/status",
        ask: Ask::Status,
        summary: "The present generation, whether it waits to be confirmed, what went wrong.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/node/services",
        ask: Ask::Services,
        summary: "Units of the service manager, those that failed first, and why they failed.",
        query: &[("name", "Only this unit, with its last lines in the journal.")],
        body: "",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/node/logs",
        ask: Ask::Logs,
        summary: "Lines of the journal, oldest first: the last ones that fit.",
        query: &[
            ("unit", "Only this unit's."),
            ("since", "Only later ones: a time (RFC 3339), or how long ago (`15m`)."),
            ("from", "`boot`: the first lines of this start instead of the last."),
            ("lines", "How many; default: 200, at most 10000."),
            ("priority", "Only this one and worse: `emerg` to `debug`, or 0 to 7."),
            ("source", "`kernel`: only the kernel's own."),
        ],
        body: "",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/node/boot",
        ask: Ask::Boot,
        summary: "This start: kernel, command line, how long it took, watchdog, verdict.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/node/slots",
        ask: Ask::Slots,
        summary: "The two slots of the disk, and what is remembered of failed versions.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/node/report",
        ask: Ask::Report,
        summary: "What should hold of a node of this kind, whether it does, and how one sees it.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "GET",
        path: "/v1/update",
        ask: Ask::Update,
        summary: "Releases that the repository has, why each is installed or not (yet), and what is going on.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "POST",
        path: "/v1/update/check",
        ask: Ask::UpdateCheck,
        summary: "Looks at the repository; what it finds is in the status.",
        query: &[],
        body: "",
        changes: false,
    },
    Route {
        method: "POST",
        path: "/v1/update/install",
        ask: Ask::UpdateInstall,
        summary: "Installs the release that is next into the other slot; the next start tries it.",
        query: &[
            ("version", "Which; default: the newest whose turn has come."),
            ("now", "`true`: without waiting for its turn or the node's delay."),
            ("force", "`true`: although it is below the floor or failed here before."),
        ],
        body: "",
        changes: true,
    },
    Route {
        method: "POST",
        path: "/v1/update/cancel",
        ask: Ask::UpdateCancel,
        summary: "Takes an installed release back before the node restarts.",
        query: &[],
        body: "",
        changes: true,
    },
    Route {
        method: "POST",
        path: "/v1/update/roll-back",
        ask: Ask::UpdateRollBack,
        summary: "Lets the next start be that of the other slot, and holds the release that runs now.",
        query: &[("force", "`true`: although it is below the floor or was refused.")],
        body: "",
        changes: true,
    },
    Route {
        method: "POST",
        path: "/v1/update/lift-hold",
        ask: Ask::UpdateLiftHold,
        summary: "Lets the release be installed again that was gone back from.",
        query: &[],
        body: "",
        changes: true,
    },
    Route {
        method: "PUT",
        path: "/v1/update/archive",
        ask: Ask::UpdateArchivePut,
        summary: "The next piece of an export of the repository; it is of use once it is imported.",
        query: &[
            ("import", "Its number, as the first piece was answered; without it another import begins."),
            ("offset", "Where the piece belongs: what has come so far."),
            ("size", "Of the whole, if it is known: refused at once if there is no room."),
        ],
        body: "bytes",
        changes: false,
    },
    Route {
        method: "POST",
        path: "/v1/update/archive",
        ask: Ask::UpdateArchiveImport,
        summary: "Takes what has come in place of the archive before, if it can be believed.",
        query: &[("import", "Its number."), ("size", "Of the whole.")],
        body: "",
        changes: true,
    },
    Route {
        method: "DELETE",
        path: "/v1/update/archive",
        ask: Ask::UpdateArchiveForget,
        summary: "Forgets the archive that was imported.",
        query: &[],
        body: "",
        changes: true,
    },
    Route {
        method: "POST",
        path: "/v1/update/restart",
        ask: Ask::UpdateRestart,
        summary: "Restarts the node into what was installed; refused if the next start would run the same as this one.",
        query: &[],
        body: "",
        changes: true,
    },
    Route {
        method: "POST",
        path: "/v1/update/scrub",
        ask: Ask::UpdateScrub,
        summary: "Reads both slots through now; what it finds is in the status, and a bad block of the one that runs restarts the node.",
        query: &[],
        body: "",
        changes: true,
    },
];

/// The route of a request, with the name in its path; `Err` says which methods
/// the path has, if there is such a path.
pub fn find<'p>(method: &str, path: &'p str) -> Result<(&'static Route, Option<&'p str>), Vec<&'static str>> {
    let fitting: Vec<(&Route, Option<&str>)> =
        ROUTES.iter().filter_map(|route| Some((route, fits(route.path, path)?))).collect();
    fitting
        .iter()
        .find(|(route, _)| route.method == method)
        .copied()
        .ok_or_else(|| fitting.iter().map(|(route, _)| route.method).collect())
}

/// `None`: it does not fit; else the name, if the route has one.
fn fits<'p>(pattern: &str, path: &'p str) -> Option<Option<&'p str>> {
    let mut name = None;
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(name),
            (Some(part), Some(text)) if part.starts_with('{') && !text.is_empty() => name = Some(text),
            (Some(part), Some(text)) if part == text => {}
            _ => return None,
        }
    }
}

/// OpenAPI 3.1. `settings` is the JSON Schema of all settings as a tree.
pub fn open_api(settings: &Value) -> Value {
    let mut paths = serde_json::Map::new();
    for route in ROUTES {
        let mut parameters: Vec<Value> = route
            .query
            .iter()
            .map(|(name, description)| {
                json!({ "name": name, "in": "query", "description": description, "schema": { "type": "string" } })
            })
            .collect();
        if route.path.contains('{') {
            parameters.push(
                json!({ "name": "name", "in": "path", "required": true, "schema": { "type": "string" } }),
            );
        }
        let mut operation = json!({
            "operationId": format!("{:?}", route.ask),
            "summary": route.summary,
            "parameters": parameters,
            "responses": {
                "200": { "description": "Done." },
                "default": {
                    "description": "Not done; says why.",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
                },
            },
        });
        let body = match route.body {
            "" => None,
            "settings" => Some(("application/json", json!({ "$ref": "#/components/schemas/Settings" }))),
            "text" => Some(("application/toml", json!({ "type": "string" }))),
            "bytes" => Some(("application/octet-stream", json!({}))),
            _ => Some(("application/json", json!({ "type": "object" }))),
        };
        if let Some((media, schema)) = body {
            operation["requestBody"] =
                json!({ "required": true, "content": { media: { "schema": schema } } });
        }
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "A node: its settings, and how it is", "version": "1" },
        "servers": [{ "url": "http://localhost", "description": "Over the unix socket /run/osbuild/api/socket." }],
        "paths": paths,
        "components": { "schemas": {
            "Settings": settings,
            "Error": {
                "type": "object",
                "required": ["schema", "error"],
                "properties": {
                    "schema": { "const": 1 },
                    "error": {
                        "type": "object",
                        "required": ["kind", "message"],
                        "properties": {
                            "kind": { "type": "string" },
                            "message": { "type": "string" },
                            "problems": { "type": "array", "items": { "type": "object", "properties": {
                                "at": { "type": "string" }, "message": { "type": "string" },
                            }}},
                        },
                    },
                },
            },
        }},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood() {
        for (method, path, expected) in [
            ("GET", "/v1/settings", Ok((Ask::Settings, None))),
            ("PATCH", "/v1/settings", Ok((Ask::Patch, None))),
            ("POST", "/v1/transactions/a/commit", Ok((Ask::Commit, Some("a")))),
            ("GET", "/v1/transactions/a", Ok((Ask::Transaction, Some("a")))),
            ("POST", "/v1/settings", Err(vec!["GET", "PATCH", "DELETE"])),
            ("GET", "/v1/transactions/", Err(vec![])),
            ("GET", "/v1/settings/", Err(vec![])),
            ("GET", "/", Err(vec![])),
            ("GET", "", Err(vec![])),
        ] {
            let found = find(method, path).map(|(route, name)| (route.ask, name));
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn the_description_has_every_route() {
        let description = open_api(&json!({ "type": "object" }));
        let count: usize = description["paths"]
            .as_object()
            .unwrap()
            .values()
            .map(|path| path.as_object().unwrap().len())
            .sum();
        assert_eq!(count, ROUTES.len());
        assert_eq!(description["paths"]["/v1/undo"]["post"]["operationId"], "Undo");
    }
}
