//! [`WasiCtxBuilder`]: what a guest gets to see of the host.

use crate::context::WasiCtx;
use crate::descriptors::{Descriptors, Kind};
use crate::dir::{HostDir, LastOpened};
use crate::file::HostFile;
use crate::pipe::{Input, Output};
use crate::ready::Ready;
use crate::socket::HostSocket;
use rustix::fd::AsFd;
use std::path::Path;
use upshift::{Context as _, Error, ErrorKind};
use wasi_common::file::FileAccessMode;
use wasi_common::sync::net::Socket;
use wasi_common::sync::{Dir, TcpListener, ambient_authority, clocks_ctx, random_ctx, sched_ctx};
use wasi_common::{StringArrayError, Table, WasiFile};

/// The first descriptor after the standard streams.
const FIRST_OPENED: u32 = 3;

/// Where a standard stream leads.
#[derive(Default)]
enum Stream<T> {
    /// Nothing to read, and writes go nowhere.
    #[default]
    None,
    Inherit,
    Memory(T),
}

/// Builds a [`WasiCtx`]. A guest gets nothing that is not named here: no arguments, no environment, no
/// directories, and standard streams that lead nowhere.
///
/// ```
/// use upshift_wasi::{Output, WasiCtxBuilder};
///
/// # fn main() -> Result<(), upshift::Error> {
/// let stdout = Output::new(1 << 20);
/// let mut builder = WasiCtxBuilder::new();
/// builder.arg("program").env("LANG", "C").stdin("some text").stdout(&stdout);
/// let context = builder.build()?;
/// # drop(context);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct WasiCtxBuilder {
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Stream<Input>,
    stdout: Stream<Output>,
    stderr: Stream<Output>,
    dirs: Vec<(Dir, String)>,
    listeners: Vec<std::net::TcpListener>,
}

impl WasiCtxBuilder {
    /// A builder for a guest that gets nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an argument; by convention the first is the program's name.
    pub fn arg(&mut self, arg: &str) -> &mut Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<str>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        for arg in args {
            self.arg(arg.as_ref());
        }
        self
    }

    /// Adds the arguments of this process, as text: what is not UTF-8 is replaced.
    pub fn inherit_args(&mut self) -> &mut Self {
        for arg in std::env::args_os() {
            self.arg(&arg.to_string_lossy());
        }
        self
    }

    /// Sets a variable of the environment.
    pub fn env(&mut self, key: &str, value: &str) -> &mut Self {
        self.env.retain(|(known, _)| known != key);
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sets the variables of this process, as text: what is not UTF-8 is replaced.
    pub fn inherit_env(&mut self) -> &mut Self {
        for (key, value) in std::env::vars_os() {
            self.env(&key.to_string_lossy(), &value.to_string_lossy());
        }
        self
    }

    /// The guest's standard input is this text.
    pub fn stdin(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.stdin = Stream::Memory(Input::new(bytes.into()));
        self
    }

    /// The guest's standard output goes to `output`.
    pub fn stdout(&mut self, output: &Output) -> &mut Self {
        self.stdout = Stream::Memory(output.clone());
        self
    }

    /// The guest's standard error goes to `output`.
    pub fn stderr(&mut self, output: &Output) -> &mut Self {
        self.stderr = Stream::Memory(output.clone());
        self
    }

    /// The guest's standard streams are the ones of this process, without a buffer between.
    ///
    /// A stream that this process does not have leads nowhere.
    pub fn inherit_stdio(&mut self) -> &mut Self {
        self.stdin = Stream::Inherit;
        self.stdout = Stream::Inherit;
        self.stderr = Stream::Inherit;
        self
    }

    /// Opens a directory of the host, which the guest sees under the name `guest`, with all below it.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if it cannot be opened.
    pub fn preopened_dir(
        &mut self,
        host: impl AsRef<Path>,
        guest: &str,
    ) -> Result<&mut Self, Error> {
        let host = host.as_ref();
        let dir = Dir::open_ambient_dir(host, ambient_authority()).context(host.display())?;
        self.dirs.push((dir, guest.to_owned()));
        Ok(self)
    }

    /// Gives the guest a socket that listens, to accept connections from. It gets a number after the
    /// ones of all directories.
    pub fn preopened_listener(&mut self, listener: std::net::TcpListener) -> &mut Self {
        self.listeners.push(listener);
        self
    }

    /// Builds the context, and leaves the builder as a new one.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] if the arguments or the environment exceed 4 GiB, [`ErrorKind::Type`] if one
    /// of them contains a zero byte or a variable's name contains `=`, [`ErrorKind::Io`] if a standard
    /// stream cannot be used.
    pub fn build(&mut self) -> Result<WasiCtx, Error> {
        let Self {
            args,
            env,
            stdin,
            stdout,
            stderr,
            dirs,
            listeners,
        } = std::mem::take(self);
        let streams = [
            open(stdin, Input::default, std::io::stdin())?,
            open(stdout, Output::discarding, std::io::stdout())?,
            open(stderr, Output::discarding, std::io::stderr())?,
        ];
        let mut provider =
            wasi_common::WasiCtx::new(random_ctx(), clocks_ctx(), sched_ctx(), Table::new());
        push_strings(&mut provider, &args, &env)?;

        let mut descriptors = Descriptors::default();
        let access = [
            FileAccessMode::READ,
            FileAccessMode::WRITE,
            FileAccessMode::WRITE,
        ];
        for (fd, (stream, access)) in (0..).zip(streams.into_iter().zip(access)) {
            provider.insert_file(fd, stream.file, access);
            descriptors.insert(fd, Kind::File(stream.ready));
        }
        let last_opened = LastOpened::default();
        let mut fds = FIRST_OPENED..;
        for ((dir, guest), fd) in dirs.into_iter().zip(&mut fds) {
            let dir = wasi_common::sync::dir::Dir::from_cap_std(dir);
            let dir = HostDir::new(dir, last_opened.clone());
            provider.insert_dir(fd, Box::new(dir), guest.into());
            descriptors.insert(fd, Kind::Dir);
        }
        for (listener, fd) in listeners.into_iter().zip(&mut fds) {
            let listener = Socket::from(TcpListener::from_std(listener));
            let socket = HostSocket::new(listener.into(), last_opened.clone())
                .map_err(|_| Error::with_kind(ErrorKind::Io, "listening socket"))?;
            descriptors.insert(fd, Kind::File(Box::new(socket.polled())));
            provider.insert_file(fd, Box::new(socket), FileAccessMode::all());
        }
        Ok(WasiCtx::new(provider, descriptors, last_opened))
    }
}

/// A stream for the provider's table and for the adapter's.
struct OpenStream {
    file: Box<dyn WasiFile>,
    ready: Box<dyn Ready>,
}

impl OpenStream {
    fn new<F: WasiFile + Ready + Clone + 'static>(file: F) -> Self {
        Self {
            file: Box::new(file.clone()),
            ready: Box::new(file),
        }
    }
}

/// Opens a standard stream. Inherited ones are used directly: a buffer of the host would change the
/// order of standard output and standard error, and lose what is in it when the process ends.
fn open<F: WasiFile + Ready + Clone + 'static>(
    stream: Stream<F>,
    nothing: fn() -> F,
    host: impl AsFd,
) -> Result<OpenStream, Error> {
    Ok(match stream {
        Stream::None => OpenStream::new(nothing()),
        Stream::Memory(file) => OpenStream::new(file),
        Stream::Inherit => {
            let fd = host.as_fd().try_clone_to_owned();
            let file = fd.and_then(HostFile::from_fd).context("standard stream")?;
            OpenStream::new(file)
        }
    })
}

fn push_strings(
    provider: &mut wasi_common::WasiCtx,
    args: &[String],
    env: &[(String, String)],
) -> Result<(), Error> {
    let too_long = |error: StringArrayError| Error::with_kind(ErrorKind::Limit, error.to_string());
    for arg in args {
        check_string(arg, "argument")?;
        provider.push_arg(arg).map_err(too_long)?;
    }
    for (key, value) in env {
        check_string(key, "name of a variable")?;
        check_string(value, "value of a variable")?;
        if key.contains('=') {
            let message = format!("expected the name of a variable without '=', found {key:?}");
            return Err(Error::with_kind(ErrorKind::Type, message));
        }
        provider.push_env(key, value).map_err(too_long)?;
    }
    Ok(())
}

/// Guests get strings that end at the first zero byte.
fn check_string(text: &str, what: &str) -> Result<(), Error> {
    if text.contains('\0') {
        let message = format!("expected an {what} without a zero byte, found {text:?}");
        return Err(Error::with_kind(ErrorKind::Type, message));
    }
    Ok(())
}

const _: () = {
    const fn can_move_between_threads<T: Send + Sync>() {}
    can_move_between_threads::<WasiCtx>();
};
