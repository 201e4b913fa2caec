/** A button with a menu of names of which any number can be chosen. */

import type { KeyboardEvent, ReactNode } from 'react';
import { useEffect, useId, useRef, useState } from 'react';
import { t } from '../texts';
import { Icon } from './controls';

interface FilterMenuProps {
  readonly title: string;
  readonly names: readonly string[];
  readonly chosen: readonly string[];
  readonly nameOf: (value: string) => string;
  readonly onChange: (chosen: readonly string[]) => void;
  readonly onOpen: (open: boolean) => void;
}

export function FilterMenu({ title, names, chosen, nameOf, onChange, onOpen }: FilterMenuProps): ReactNode {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  const id = useId();
  // A chosen name that does not occur in the period can still be taken away.
  const shown = [...names, ...chosen.filter((name) => !names.includes(name))];

  const show = (wanted: boolean): void => {
    if (wanted === open) return;
    setOpen(wanted);
    onOpen(wanted);
  };
  const items = (): HTMLElement[] => [...(menu.current?.querySelectorAll<HTMLElement>('[role=menuitemcheckbox]') ?? [])];

  useEffect(() => {
    if (open) menu.current?.querySelector<HTMLElement>('[role=menuitemcheckbox]')?.focus();
  }, [open]);

  const onKeyDown = (event: KeyboardEvent): void => {
    if (!open) return;
    const all = items();
    const at = all.indexOf(event.target as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) {
      all[(to + all.length) % all.length]?.focus();
    } else if (event.key === 'Escape' || event.key === 'Tab') {
      show(false);
      button.current?.focus();
      if (event.key === 'Tab') return;
    } else {
      return;
    }
    event.preventDefault();
  };
  const toggle = (name: string): void => {
    onChange(chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name]);
  };
  return (
    <div ref={root} className="relative" onKeyDown={onKeyDown}
      onBlur={(event) => { if (!event.currentTarget.contains(event.relatedTarget)) show(false); }}>
      <button ref={button} type="button" className={`drop-button ${chosen.length > 0 ? 'on' : ''}`} aria-haspopup="menu" aria-expanded={open}
        {...(open ? { 'aria-controls': id } : {})} onClick={() => { show(!open); }}>
        <span className="truncate">{chosen.length > 0 ? t('{0} ({1})', title, chosen.length) : title}</span>
        <Icon name="chevron-down" className="text-sm!" />
      </button>
      {open && (
        <div ref={menu} id={id} role="menu" aria-label={title} className="menu" tabIndex={-1}>
          {shown.length === 0 && <p role="menuitem" aria-disabled="true" className="px-2 py-1 text-muted">{t('None in this period')}</p>}
          {shown.map((name) => {
            const checked = chosen.includes(name);
            return (
              <button key={name} type="button" role="menuitemcheckbox" aria-checked={checked} tabIndex={-1} onClick={() => { toggle(name); }}>
                <Icon name="check" className={checked ? '' : 'invisible'} />
                <span className="truncate">{nameOf(name)}</span>
              </button>
            );
          })}
        </div>
      )}
    </div>
  );
}
