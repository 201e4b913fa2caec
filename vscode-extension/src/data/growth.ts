/** Typed arrays that grow. */

export type Growable = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** The array where it is long enough, else a longer one that begins with the same values. */
export function grown<T extends Growable>(array: T, length: number, most = Infinity): T {
  if (length <= array.length) return array;
  const longer = new (array.constructor as new (length: number) => T)(Math.min(most, Math.max(length, array.length * 2)));
  longer.set(array);
  return longer;
}
