/** A dialog at the side of the panel; Escape closes it, and the focus goes back to where it came from. */

import type { ReactNode } from 'react';
import { useEffect, useId, useRef } from 'react';
import { t } from '../texts';
import { IconButton } from './controls';

interface SheetProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

export function Sheet({ title, onClose, children }: SheetProps): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => { if (before instanceof HTMLElement) before.focus(); };
  }, []);
  return (
    <dialog ref={dialog} className="sheet" aria-labelledby={id}
      onCancel={(event) => { event.preventDefault(); onClose(); }}
      // The backdrop is the dialog itself, outside of all that it holds.
      onClick={(event) => { if (event.target === event.currentTarget) onClose(); }}>
      <header>
        <h2 id={id} className="grow truncate text-lg">{title}</h2>
        <IconButton icon="close" label={t('Close')} onClick={onClose} />
      </header>
      <div className="flex min-h-[calc(100vh-48px)] flex-col gap-5 px-4 py-4">{children}</div>
    </dialog>
  );
}
