/** What was not counted, so that nobody wonders about a difference. */

import type { ReactNode } from 'react';
import type { Notes } from '../../shared/protocol';
import { plural } from '../texts';
import { Icon } from './controls';

export function NotesLine({ notes, includeTests }: { readonly notes: Notes; readonly includeTests: boolean }): ReactNode {
  const said = [
    ...(notes.skippedLines > 0 ? [plural(notes.skippedLines, '1 line could not be read', '{0} lines could not be read')] : []),
    ...(notes.duplicates > 0 ? [plural(notes.duplicates, '1 duplicate of an older version was counted once', '{0} duplicates of older versions were counted once')] : []),
    ...(notes.tests > 0 && !includeTests ? [plural(notes.tests, '1 record of a test run was left out', '{0} records of test runs were left out')] : []),
  ];
  if (said.length === 0) return null;
  return <p className="flex items-start gap-1.5 text-sm text-muted"><Icon name="info" className="text-sm! mt-0.5" />{said.join(' · ')}</p>;
}
