//! `osbuild-operator`: its two roles, and what a cluster needs for them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use kube::{Client, Config};
use osbuild_operator::{controller, manifests, node};
use tokio::signal::unix::{SignalKind, signal};

/// For a connection to the API server to be made, and for an answer.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

#[derive(Parser)]
#[command(about = "Updates the nodes of a cluster, a few at a time")]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Decides which node is next, drains it, gives the order, and waits until it is back
    Controller {
        /// Namespace of the lease by which one of several leads
        #[arg(long, env = "POD_NAMESPACE")]
        namespace: String,
        /// Who this is among them
        #[arg(long, env = "POD_NAME")]
        identity: String,
        /// Between two looks at the cluster
        #[arg(long, value_parser = humantime::parse_duration, default_value = "5s")]
        every: Duration,
        /// How long one leads that is not heard of; whole seconds, more than two looks
        #[arg(long, value_parser = humantime::parse_duration, default_value = "15s")]
        lease: Duration,
    },
    /// Says what a node says of itself, and hands its order on
    Node {
        /// The node's name in the cluster
        #[arg(long, env = "NODE_NAME")]
        name: String,
        /// The node's API
        #[arg(long, default_value = "/run/osbuild/api/socket")]
        socket: PathBuf,
        /// Between two looks at the node
        #[arg(long, value_parser = humantime::parse_duration, default_value = "10s")]
        every: Duration,
    },
    /// Print the definitions of the operator's kinds
    Crds,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if matches!(arguments.role, Role::Crds) {
        print!("{}", manifests::definitions());
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments.role)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(role: Role) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(CONNECTS_WITHIN);
    let mut terminated = signal(SignalKind::terminate())?;
    let over = async move {
        terminated.recv().await;
    };
    match role {
        Role::Controller { namespace, identity, every, lease } => {
            config.read_timeout = Some(ANSWERS_WITHIN);
            config.write_timeout = Some(ANSWERS_WITHIN);
            let options = controller::Options { namespace, identity, every, lease };
            controller::run(Client::try_from(config)?, &options, over).await?;
        }
        // Its watch says nothing for minutes.
        Role::Node { name, socket, every } => {
            let options = node::Options { name, socket, every };
            node::run(Client::try_from(config)?, &options, over).await;
        }
        Role::Crds => {}
    }
    Ok(())
}
