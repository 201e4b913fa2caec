/** The text filter; it takes effect when one stops typing. */

import type { ReactNode } from 'react';
import { useEffect, useRef, useState } from 'react';
import { t } from '../texts';
import { Icon, TextField } from './controls';

const PAUSE_MS = 250;

interface SearchFieldProps {
  readonly text: string;
  readonly onChange: (text: string) => void;
  readonly onTyping: (typing: boolean) => void;
}

export function SearchField({ text, onChange, onTyping }: SearchFieldProps): ReactNode {
  const [typed, setTyped] = useState<string | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => { clearTimeout(timer.current); }, []);

  const take = (value: string): void => {
    clearTimeout(timer.current);
    setTyped(null);
    if (value !== text) onChange(value);
    onTyping(false);
  };
  const onInput = (value: string): void => {
    clearTimeout(timer.current);
    setTyped(value);
    onTyping(true);
    timer.current = setTimeout(() => { take(value); }, PAUSE_MS);
  };
  return (
    <TextField className="search" label={t('Search in the calls')} placeholder={t('Search model, error, user…')}
      value={typed ?? text} onInput={onInput} onBlur={() => { if (typed !== null) take(typed); }}>
      <span slot="content-before" className="inline-flex"><Icon name="search" /></span>
    </TextField>
  );
}
