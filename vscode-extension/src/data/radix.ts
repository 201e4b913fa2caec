/** Sorting by numbers, stable, in time that grows with their count alone. */

const DIGITS = 1 << 16;
/** Below it a comparison sort is faster than counting digits. */
const FEW = 4096;

/** The ids in the order of their keys, smallest first; equal ones keep their order. `keys[i]` is that of `ids[i]`. */
export function sorted(ids: Uint32Array<ArrayBuffer>, keys: Float64Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  return ids.length < FEW ? compared(ids, keys) : counted(ids, keys);
}

function compared(ids: Uint32Array<ArrayBuffer>, keys: Float64Array): Uint32Array<ArrayBuffer> {
  const places = Array.from(ids, (_, place) => place);
  places.sort((one, other) => (keys[one]! < keys[other]! ? -1 : keys[one]! > keys[other]! ? 1 : one - other));
  return Uint32Array.from(places, (place) => ids[place]!);
}

function counted(ids: Uint32Array<ArrayBuffer>, keys: Float64Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const { length } = ids;
  const words = new Uint32Array(keys.buffer, keys.byteOffset, length * 2);
  const high = new Uint32Array(length);
  const low = new Uint32Array(length);
  for (let i = 0; i < length; i++) {
    // The bits of doubles are in order once the negative ones are turned around; -0 is 0.
    const negative = keys[i]! < 0;
    const zero = keys[i] === 0;
    low[i] = zero ? 0 : negative ? ~words[2 * i]! : words[2 * i]!;
    high[i] = zero ? 0x8000_0000 : negative ? ~words[2 * i + 1]! : words[2 * i + 1]! | 0x8000_0000;
  }
  let places = Uint32Array.from({ length }, (_, place) => place);
  let spare = new Uint32Array(length);
  const counts = new Uint32Array(DIGITS);
  for (const [word, shift] of [[low, 0], [low, 16], [high, 0], [high, 16]] as const) {
    counts.fill(0);
    for (let i = 0; i < length; i++) counts[(word[i]! >>> shift) & 0xffff]!++;
    if (counts[(word[0]! >>> shift) & 0xffff] === length) continue;
    let before = 0;
    for (let digit = 0; digit < DIGITS; digit++) {
      const count = counts[digit]!;
      counts[digit] = before;
      before += count;
    }
    for (let i = 0; i < length; i++) {
      const place = places[i]!;
      spare[counts[(word[place]! >>> shift) & 0xffff]!++] = place;
    }
    [places, spare] = [spare, places];
  }
  for (let i = 0; i < length; i++) spare[i] = ids[places[i]!]!;
  return spare;
}
