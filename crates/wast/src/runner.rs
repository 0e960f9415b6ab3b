//! Runs the directives of a script in order.

use crate::report::{DirectiveKind, Failure, Report};
use crate::{spectest, values};
use std::collections::HashMap;
use upshift::{Engine, Error, ErrorKind, Extern, Instance, Linker, Module, Store, Val};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::{Id, Span};
use wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, Wat};

/// Runs a script and counts its directives. Every directive is run, whatever came before it.
#[must_use]
pub fn run_script(engine: &Engine, name: &str, source: &str) -> Report {
    let mut report = Report::new(name);
    let script_failure = |report: &mut Report, span: Span, message: String| {
        let (line, column) = span.linecol_in(source);
        let kind = DirectiveKind::Script;
        report.failures.push(Failure {
            line: line + 1,
            column: column + 1,
            kind,
            message,
        });
    };
    let mut lexer = Lexer::new(source);
    lexer.allow_confusing_unicode(true);
    let buffer = match ParseBuffer::new_with_lexer(lexer) {
        Ok(buffer) => buffer,
        Err(error) => {
            script_failure(&mut report, error.span(), error.message());
            return report;
        }
    };
    let script = match parser::parse::<Wast<'_>>(&buffer) {
        Ok(script) => script,
        Err(error) => {
            script_failure(&mut report, error.span(), error.message());
            return report;
        }
    };
    let mut runner = match Runner::new(engine) {
        Ok(runner) => runner,
        Err(error) => {
            script_failure(
                &mut report,
                Span::from_offset(0),
                format!("spectest: {error}"),
            );
            return report;
        }
    };
    for directive in script.directives {
        let kind = kind_of(&directive);
        let (line, column) = directive.span().linecol_in(source);
        match runner.directive(directive) {
            Ok(()) => *report.held.entry(kind).or_default() += 1,
            Err(message) => {
                report.failures.push(Failure {
                    line: line + 1,
                    column: column + 1,
                    kind,
                    message,
                });
            }
        }
    }
    report
}

fn kind_of(directive: &WastDirective<'_>) -> DirectiveKind {
    match directive {
        WastDirective::Module(_)
        | WastDirective::ModuleDefinition(_)
        | WastDirective::ModuleInstance { .. } => DirectiveKind::Module,
        WastDirective::AssertMalformed { .. } | WastDirective::AssertMalformedCustom { .. } => {
            DirectiveKind::AssertMalformed
        }
        WastDirective::AssertInvalid { .. } | WastDirective::AssertInvalidCustom { .. } => {
            DirectiveKind::AssertInvalid
        }
        WastDirective::Register { .. } => DirectiveKind::Register,
        WastDirective::Invoke(_) => DirectiveKind::Invoke,
        WastDirective::AssertTrap { .. } => DirectiveKind::AssertTrap,
        WastDirective::AssertReturn { .. } => DirectiveKind::AssertReturn,
        WastDirective::AssertExhaustion { .. } => DirectiveKind::AssertExhaustion,
        WastDirective::AssertUnlinkable { .. } => DirectiveKind::AssertUnlinkable,
        WastDirective::AssertException { .. }
        | WastDirective::AssertSuspension { .. }
        | WastDirective::Thread(_)
        | WastDirective::Wait { .. } => DirectiveKind::Unsupported,
    }
}

/// The state that directives build up.
struct Runner {
    engine: Engine,
    store: Store<()>,
    linker: Linker<()>,
    /// Named instances.
    instances: HashMap<String, Instance>,
    /// Named definitions, for `module instance`.
    definitions: HashMap<Option<String>, Module>,
    /// The instance that unnamed actions mean.
    current: Option<Instance>,
}

/// What an action came to, apart from errors of the script itself.
type Outcome = Result<Vec<Val>, Error>;

impl Runner {
    fn new(engine: &Engine) -> Result<Self, Error> {
        let mut store = Store::new(engine, ());
        let mut linker = Linker::new(engine);
        linker.allow_shadowing(true);
        spectest::define(&mut linker, &mut store)?;
        Ok(Self {
            engine: engine.clone(),
            store,
            linker,
            instances: HashMap::new(),
            definitions: HashMap::new(),
            current: None,
        })
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Result<(), String> {
        match directive {
            WastDirective::Module(module) => self.module(module),
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name().map(owned);
                let compiled = self.compile(&mut module)?;
                self.definitions.insert(name, compiled);
                Ok(())
            }
            WastDirective::ModuleInstance {
                instance, module, ..
            } => {
                let module = module.map(owned);
                let compiled = self.definitions.get(&module).cloned();
                let compiled =
                    compiled.ok_or_else(|| format!("no module {module:?} is defined"))?;
                self.instantiate(&compiled, instance.map(owned))
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module)?;
                let done = self.linker.instance(&mut self.store, name, instance);
                done.map(|_| ()).map_err(|e| e.to_string())
            }
            WastDirective::Invoke(invoke) => {
                self.invoke(&invoke)?.map(|_| ()).map_err(|e| e.to_string())
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                let found = self.execute(exec)?.map_err(|e| e.to_string())?;
                values::compare(&self.store, &found, &results)
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                expect_trap(self.execute(exec)?, message)
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                expect_trap(self.invoke(&call)?, message)
            }
            WastDirective::AssertUnlinkable {
                module, message, ..
            } => self.assert_unlinkable(module, message),
            WastDirective::AssertInvalid {
                module, message, ..
            }
            | WastDirective::AssertMalformed {
                module, message, ..
            }
            | WastDirective::AssertMalformedCustom {
                module, message, ..
            }
            | WastDirective::AssertInvalidCustom {
                module, message, ..
            } => self.assert_rejected(module, message),
            WastDirective::AssertException { .. }
            | WastDirective::AssertSuspension { .. }
            | WastDirective::Thread(_)
            | WastDirective::Wait { .. } => Err("this directive is not supported".to_owned()),
        }
    }

    fn module(&mut self, mut module: QuoteWat<'_>) -> Result<(), String> {
        let name = module.name().map(owned);
        self.current = None;
        let compiled = self.compile(&mut module)?;
        self.definitions.insert(None, compiled.clone());
        if name.is_some() {
            self.definitions.insert(name.clone(), compiled.clone());
        }
        self.instantiate(&compiled, name)
    }

    fn compile(&self, module: &mut QuoteWat<'_>) -> Result<Module, String> {
        let bytes = module.encode().map_err(|e| e.to_string())?;
        Module::new(&self.engine, &bytes).map_err(|e| e.to_string())
    }

    fn instantiate(&mut self, module: &Module, name: Option<String>) -> Result<(), String> {
        let instance = self
            .linker
            .instantiate(&mut self.store, module)
            .map_err(|e| e.to_string())?;
        if let Some(name) = name {
            self.instances.insert(name, instance);
        }
        self.current = Some(instance);
        Ok(())
    }

    fn instance(&self, name: Option<Id<'_>>) -> Result<Instance, String> {
        match name {
            None => self
                .current
                .ok_or_else(|| "no instance to act on".to_owned()),
            Some(id) => self
                .instances
                .get(id.name())
                .copied()
                .ok_or_else(|| format!("no instance is named ${}", id.name())),
        }
    }

    fn export(&mut self, module: Option<Id<'_>>, name: &str) -> Result<Extern, String> {
        let instance = self.instance(module)?;
        instance
            .get_export(&mut self.store, name)
            .ok_or_else(|| format!("expected an export {name:?}, found none"))
    }

    /// The outer error is one of the script, the inner one the guest's.
    fn execute(&mut self, exec: WastExecute<'_>) -> Result<Outcome, String> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(mut module) => {
                let bytes = module.encode().map_err(|e| e.to_string())?;
                let module = Module::new(&self.engine, &bytes).map_err(|e| e.to_string())?;
                Ok(self
                    .linker
                    .instantiate(&mut self.store, &module)
                    .map(|_| Vec::new()))
            }
            WastExecute::Get { module, global, .. } => {
                let found = self.export(module, global)?;
                match found.into_global() {
                    Some(global) => Ok(Ok(vec![global.get(&mut self.store)])),
                    None => Err(format!(
                        "expected {global:?} to be a global, found {found:?}"
                    )),
                }
            }
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Outcome, String> {
        let found = self.export(invoke.module, invoke.name)?;
        let Some(func) = found.into_func() else {
            return Err(format!("expected a function, found {found:?}"));
        };
        let args = values::arguments(&mut self.store, &invoke.args).map_err(|e| e.to_string())?;
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        let done = func.call(&mut self.store, &args, &mut results);
        Ok(done.map(|()| results))
    }

    fn assert_unlinkable(&mut self, mut module: Wat<'_>, message: &str) -> Result<(), String> {
        let bytes = module.encode().map_err(|e| e.to_string())?;
        let module = Module::new(&self.engine, &bytes).map_err(|e| e.to_string())?;
        match self.linker.instantiate(&mut self.store, &module) {
            Ok(_) => Err(format!(
                "expected a link error {message:?}, found an instance"
            )),
            Err(error) if error.kind() == ErrorKind::Link => {
                let found = error.to_string();
                if found.contains(message) {
                    Ok(())
                } else {
                    Err(format!(
                        "expected the link error {message:?}, found {found:?}"
                    ))
                }
            }
            Err(error) => Err(format!("expected a link error {message:?}, found {error}")),
        }
    }

    /// Texts of such errors are the engine's own; the kind of failure is what is checked.
    fn assert_rejected(&self, mut module: QuoteWat<'_>, message: &str) -> Result<(), String> {
        let Ok(bytes) = module.encode() else {
            return Ok(());
        };
        match Module::new(&self.engine, &bytes) {
            Ok(_) => Err(format!(
                "expected the module to be rejected with {message:?}, found it accepted"
            )),
            Err(error) if is_rejection(error.kind()) => Ok(()),
            Err(error) => Err(format!("expected {message:?}, found {error}")),
        }
    }
}

fn is_rejection(kind: ErrorKind) -> bool {
    [
        ErrorKind::Malformed,
        ErrorKind::Invalid,
        ErrorKind::Unsupported,
        ErrorKind::Limit,
    ]
    .contains(&kind)
}

fn expect_trap(outcome: Outcome, expected: &str) -> Result<(), String> {
    let error = match outcome {
        Ok(values) => return Err(format!("expected the trap {expected:?}, found {values:?}")),
        Err(error) => error,
    };
    let Some(trap) = error.trap() else {
        return Err(format!("expected the trap {expected:?}, found {error}"));
    };
    let found = trap.code().to_string();
    // Scripts may go on after the common text, as in "uninitialized element 2", or end before it.
    if expected.starts_with(&found) || found.starts_with(expected) {
        Ok(())
    } else {
        Err(format!("expected the trap {expected:?}, found {found:?}"))
    }
}

fn owned(id: Id<'_>) -> String {
    id.name().to_owned()
}
