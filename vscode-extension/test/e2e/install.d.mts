/** Says why the tests in an editor cannot run here. */
export class Missing extends Error {}
export function cacheFolder(): string;
export function browser(): string;
export function editor(): string;
