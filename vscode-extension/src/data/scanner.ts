/**
 * The scanner of assembly/ in this thread: lines in, rows of columns out. It is WebAssembly because that is as quick with
 * its first lines as with its last, where JavaScript is slow until it has been compiled.
 */

import { Buffer } from 'node:buffer';
import { SCANNER } from './scanner.generated';
import { midnight, timeIn } from './times';
import { isUtf8 } from './utf8';

type Address = WebAssembly.Global;

/** What assembly/scanner.ts exports. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly MOST: Address;
  readonly input: Address;
  readonly pool: Address;
  readonly ends: Address;
  readonly hashes: Address;
  readonly names: Address;
  readonly numbers: Address;
  readonly series: Address;
  readonly who: Address;
  readonly callColumns: Address;
  readonly allSeries: Address;
  readonly allWho: Address;
  readonly runColumns: Address;
  readonly earliest: Address;
  readonly latest: Address;
  readonly marks: Address;
  readCalls(start: number, end: number): number;
  readRuns(start: number, end: number): number;
  begin(): void;
  addCall(place: number, run: number, facts: number): void;
  settle(from: number, until: number, by: number): void;
  foreign(): number;
  hasRoom(): number;
  callRows(): number;
  seriesSize(): number;
  whoSize(): number;
  runRows(): number;
  empty(): void;
  forget(): void;
}

const decoder = new TextDecoder('latin1');

export class Scanner {
  readonly exports: Exports;
  /** Where the lines go. */
  readonly input: Uint8Array;

  constructor() {
    const program = new WebAssembly.Module(Buffer.from(SCANNER, 'base64'));
    const host = {
      numberIn: (start: number, end: number) => Number(decoder.decode(this.input.subarray(start, end))),
      timeIn: (start: number, end: number) => timeIn(this.input, start, end),
      isUtf8: (start: number, end: number) => Number(isUtf8(this.input.subarray(start, end))),
      midnight,
    };
    this.exports = new WebAssembly.Instance(program, { host }).exports as unknown as Exports;
    this.input = this.bytes(this.exports.input.value, this.exports.MOST.value);
  }

  bytes(address: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.buffer, address, length);
  }

  halves(address: number, length: number): Uint16Array<ArrayBuffer> {
    return new Uint16Array(this.buffer, address, length);
  }

  words(address: number, length: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.buffer, address, length);
  }

  doubles(address: number, length: number): Float64Array<ArrayBuffer> {
    return new Float64Array(this.buffer, address, length);
  }

  /** It never grows. */
  private get buffer(): ArrayBuffer {
    return this.exports.memory.buffer;
  }
}
