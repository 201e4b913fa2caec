/** What the host is asked for: rare, and easier there. Places are those of the input. */

/** The double that stands there; NaN where it is none that is finite. */
// @ts-ignore: a decorator of the compiler
@external('host', 'numberIn')
export declare function numberIn(start: i32, end: i32): f64;

/** Milliseconds since the epoch, of a text of any form; NaN where it is no time. */
// @ts-ignore: a decorator of the compiler
@external('host', 'timeIn')
export declare function timeIn(start: i32, end: i32): f64;

/** Midnight UTC of a day; NaN where there is no such day. */
// @ts-ignore: a decorator of the compiler
@external('host', 'midnight')
export declare function midnight(year: i32, month: i32, day: i32): f64;

// @ts-ignore: a decorator of the compiler
@external('host', 'isUtf8')
export declare function isUtf8(start: i32, end: i32): bool;
