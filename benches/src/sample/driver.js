// Loads and runs a WebAssembly program in a JavaScript engine: node, bun or the jsc shell.
//
// The harness puts `const options = {...};` before this text:
//   module      path of the module, in the binary format
//   result      path that the outcome is written to, as JSON
//   iterations  runs in new instances; 0 loads only
//   marks       whether to write "<" on standard error when the module's bytes are in memory
//   args, env   what the program sees; env as KEY=VALUE
//   dirs        [here, as the program sees it]; through node:wasi, which only node has
//   stdin       path of a file, or null for the one of this process
//
// The WASI functions are the same few lines in every engine, with one system call per write.
"use strict";

const host = (() => {
  if (typeof process === "undefined") {
    // The shell has no function that writes bytes to a stream; the harness gives it pipes, which can be opened by name.
    const write = (fd, bytes) => writeFile(`/proc/self/fd/${fd}`, bytes);
    return {
      now: () => preciseTime() * 1e3,
      read: (path) => readFile(path, "binary"),
      save: (path, text) => writeFile(path, text),
      write,
      stdin: () => 0,
      random: (bytes) => {
        for (let i = 0; i < bytes.length; i++) bytes[i] = Math.random() * 256;
      },
    };
  }
  const fs = require("fs");
  const untilReady = (call) => {
    for (;;) {
      try {
        return call();
      } catch (error) {
        if (error.code !== "EAGAIN") throw error;
      }
    }
  };
  return {
    now: () => performance.now(),
    read: (path) => fs.readFileSync(path),
    save: (path, text) => fs.writeFileSync(path, text),
    write: (fd, bytes) => {
      for (let at = 0; at < bytes.length; ) {
        at += untilReady(() => fs.writeSync(fd, bytes, at));
      }
    },
    stdin: (bytes) =>
      untilReady(() => {
        try {
          return fs.readSync(0, bytes);
        } catch (error) {
          if (error.code === "EOF") return 0;
          throw error;
        }
      }),
    random: (bytes) => {
      for (let at = 0; at < bytes.length; at += 65536) {
        crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, bytes.length)));
      }
    },
  };
})();

const SUCCESS = 0;
const BADF = 8;
const INVAL = 28;
const NOSYS = 52;
const SPIPE = 70;
const CHARACTER_DEVICE = 2;

// What `proc_exit` throws.
class Exit {
  constructor(code) {
    this.code = code;
  }
}

// The strings as the guest gets them: UTF-8, each with a zero byte. The shell has no TextEncoder.
function encode(strings) {
  const bytes = (text) => Uint8Array.from(unescape(encodeURIComponent(text)), (c) => c.charCodeAt(0));
  return strings.map((text) => bytes(text + "\0"));
}

// When the guest first called an import, and the spans between bench.start and bench.end.
class Clock {
  constructor() {
    this.reset();
  }

  reset() {
    this.first = null;
    this.started = null;
    this.region = null;
  }

  touch() {
    if (this.first === null) this.first = host.now();
  }

  start() {
    this.touch();
    this.region ??= 0;
    this.started ??= host.now();
  }

  end() {
    this.touch();
    this.close(host.now());
  }

  close(now) {
    if (this.started !== null) this.region += now - this.started;
    this.started = null;
  }
}

// The streams, the arguments and the environment as WASI; everything else answers ENOSYS.
class Wasi {
  constructor(clock, input) {
    this.clock = clock;
    this.input = input;
    this.args = encode([options.name, ...options.args]);
    this.env = encode(options.env);
    this.memory = null;
    this.kept = null;
  }

  view() {
    const buffer = this.memory.buffer;
    // A new buffer comes with each growth of the memory.
    if (this.kept === null || this.kept.buffer !== buffer) this.kept = new DataView(buffer);
    return this.kept;
  }

  sizes(strings, count, bytes) {
    this.view().setUint32(count, strings.length, true);
    this.view().setUint32(bytes, strings.reduce((sum, one) => sum + one.length, 0), true);
    return SUCCESS;
  }

  strings(strings, pointers, text) {
    for (const one of strings) {
      this.view().setUint32(pointers, text, true);
      new Uint8Array(this.memory.buffer).set(one, text);
      pointers += 4;
      text += one.length;
    }
    return SUCCESS;
  }

  // The parts of guest memory that an array of iovecs names.
  buffers(iovs, count) {
    const view = this.view();
    const buffers = [];
    for (let i = 0; i < count; i++) {
      const at = view.getUint32(iovs + 8 * i, true);
      buffers.push(new Uint8Array(view.buffer, at, view.getUint32(iovs + 8 * i + 4, true)));
    }
    return buffers;
  }

  fd_write(fd, iovs, count, written) {
    if (fd !== 1 && fd !== 2) return BADF;
    const buffers = this.buffers(iovs, count).filter((bytes) => bytes.length > 0);
    const total = buffers.reduce((sum, bytes) => sum + bytes.length, 0);
    let all = buffers[0];
    if (buffers.length > 1) {
      all = new Uint8Array(total);
      let at = 0;
      for (const bytes of buffers) {
        all.set(bytes, at);
        at += bytes.length;
      }
    }
    if (total > 0) host.write(fd, all);
    this.view().setUint32(written, total, true);
    return SUCCESS;
  }

  fd_read(fd, iovs, count, read) {
    if (fd !== 0) return BADF;
    const bytes = this.buffers(iovs, count).find((one) => one.length > 0);
    let length = 0;
    if (bytes !== undefined && this.input !== null) {
      length = Math.min(bytes.length, this.input.length);
      bytes.set(this.input.subarray(0, length));
      this.input = this.input.subarray(length);
    } else if (bytes !== undefined) {
      length = host.stdin(bytes);
    }
    this.view().setUint32(read, length, true);
    return SUCCESS;
  }

  fd_fdstat_get(fd, stat) {
    if (fd > 2) return BADF;
    const view = this.view();
    view.setBigUint64(stat, 0n, true);
    // Rights: to read standard input, to write the others.
    view.setBigUint64(stat + 8, fd === 0 ? 2n : 64n, true);
    view.setBigUint64(stat + 16, 0n, true);
    return SUCCESS;
  }

  fd_filestat_get(fd, stat) {
    if (fd > 2) return BADF;
    new Uint8Array(this.memory.buffer, stat, 64).fill(0);
    this.view().setUint8(stat + 16, CHARACTER_DEVICE);
    return SUCCESS;
  }

  clock_time_get(id, time) {
    if (id > 3) return INVAL;
    const ms = id === 0 ? Date.now() : host.now();
    this.view().setBigUint64(time, BigInt(Math.round(ms * 1e6)), true);
    return SUCCESS;
  }

  clock_res_get(id, resolution) {
    if (id > 3) return INVAL;
    this.view().setBigUint64(resolution, id === 0 ? 1000000n : 1000n, true);
    return SUCCESS;
  }

  imports() {
    const { clock } = this;
    const known = {
      args_get: (pointers, text) => this.strings(this.args, pointers, text),
      args_sizes_get: (count, bytes) => this.sizes(this.args, count, bytes),
      environ_get: (pointers, text) => this.strings(this.env, pointers, text),
      environ_sizes_get: (count, bytes) => this.sizes(this.env, count, bytes),
      clock_res_get: (id, resolution) => this.clock_res_get(id, resolution),
      clock_time_get: (id, precision, time) => this.clock_time_get(id, time),
      fd_close: (fd) => (fd > 2 ? BADF : SUCCESS),
      fd_fdstat_get: (fd, stat) => this.fd_fdstat_get(fd, stat),
      fd_filestat_get: (fd, stat) => this.fd_filestat_get(fd, stat),
      fd_prestat_dir_name: () => BADF,
      fd_prestat_get: () => BADF,
      fd_read: (fd, iovs, count, read) => this.fd_read(fd, iovs, count, read),
      fd_seek: (fd) => (fd > 2 ? BADF : SPIPE),
      fd_tell: (fd) => (fd > 2 ? BADF : SPIPE),
      fd_write: (fd, iovs, count, written) => this.fd_write(fd, iovs, count, written),
      proc_exit: (code) => {
        throw new Exit(code);
      },
      random_get: (at, length) => {
        host.random(new Uint8Array(this.memory.buffer, at, length));
        return SUCCESS;
      },
      sched_yield: () => SUCCESS,
    };
    const answer = (name) => {
      const call = known[name] ?? (() => NOSYS);
      return (a, b, c, d) => {
        clock.touch();
        return call(a, b, c, d);
      };
    };
    return new Proxy({}, { get: (_, name) => answer(name) });
  }

  run(instance) {
    this.memory = instance.exports.memory;
    try {
      instance.exports._start();
    } catch (error) {
      if (error instanceof Exit) return error.code;
      throw error;
    }
    return 0;
  }
}

// WASI as node has it, for programs that open files.
class NodeWasi {
  constructor(clock) {
    const { WASI } = require("node:wasi");
    const fs = require("fs");
    this.clock = clock;
    this.wasi = new WASI({
      version: "preview1",
      args: [options.name, ...options.args],
      env: Object.fromEntries(options.env.map((pair) => [pair.split("=", 1)[0], pair.slice(pair.indexOf("=") + 1)])),
      preopens: Object.fromEntries(options.dirs.map(([here, there]) => [there, here])),
      stdin: options.stdin === null ? 0 : fs.openSync(options.stdin),
      returnOnExit: true,
    });
  }

  imports() {
    const { clock } = this;
    const all = this.wasi.wasiImport;
    const touching = (call) =>
      (...args) => {
        clock.touch();
        return call(...args);
      };
    // proc_exit throws something of node's own: it has to pass.
    return Object.fromEntries(Object.entries(all).map(([name, call]) => [name, touching(call)]));
  }

  run(instance) {
    return this.wasi.start(instance);
  }
}

function iteration(module, input) {
  const begun = host.now();
  const clock = new Clock();
  const wasi = options.dirs.length > 0 ? new NodeWasi(clock) : new Wasi(clock, input);
  const imports = {
    wasi_snapshot_preview1: wasi.imports(),
    bench: { start: () => clock.start(), end: () => clock.end() },
  };
  const instance = new WebAssembly.Instance(module, imports);
  if (typeof instance.exports._start !== "function") {
    throw new Error(`expected an exported function "_start", found ${Object.keys(instance.exports)}`);
  }
  clock.reset();
  const called = host.now();
  const exit = wasi.run(instance);
  const ended = host.now();
  clock.close(ended);
  const first = clock.first ?? ended;
  return {
    instantiate_ms: called - begun,
    first_call_ms: first - called,
    run_ms: ended - first,
    region_ms: clock.region,
    exit: exit | 0,
  };
}

function main() {
  const bytes = host.read(options.module);
  const input = options.stdin === null || options.dirs.length > 0 ? null : host.read(options.stdin);
  if (options.marks) host.write(2, Uint8Array.of(0x3c));
  const begun = host.now();
  const module = new WebAssembly.Module(bytes);
  const load_ms = host.now() - begun;
  const iterations = [];
  for (let i = 0; i < options.iterations; i++) {
    iterations.push(iteration(module, input));
  }
  return { load_ms, iterations };
}

let outcome;
try {
  outcome = main();
} catch (error) {
  outcome = { error: `${error?.message ?? error}` };
}
host.save(options.result, JSON.stringify(outcome));
