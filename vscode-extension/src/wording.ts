/** What is said of an error: what happened, where, and the mend; never a stack trace, never a secret. */

import { redact } from './redaction';

const LONGEST = 400;

const CODES: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'is not there',
  ENOTDIR: 'is not in a folder',
  EISDIR: 'is a folder',
  ENOSPC: 'the disk is full',
  EMFILE: 'too many files are open',
  EBUSY: 'is in use by another program',
  EIO: 'the disk reported an error',
};

interface SystemError extends Error {
  readonly code: string;
  readonly path?: string;
}

export function wordingOf(error: unknown): string {
  if (isSystemError(error)) {
    const words = CODES[error.code] ?? error.code;
    return error.path ? `${error.path}: ${words}` : words;
  }
  const text = error instanceof Error ? error.message : String(error);
  // What follows the first line of a message is most often a stack.
  const line = text.split('\n', 1)[0]?.trim() ?? '';
  return redact(line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line) || 'something failed without saying why';
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'errno' in error;
}
