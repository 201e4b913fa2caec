/** A titled box of the overview. */

import type { ReactNode } from 'react';
import { useId } from 'react';

interface CardProps {
  readonly title: string;
  readonly aside?: ReactNode;
  readonly area: string;
  readonly children: ReactNode;
}

export function Card({ title, aside, area, children }: CardProps): ReactNode {
  const id = useId();
  return (
    <section className="card flex flex-col" aria-labelledby={id} style={{ gridArea: area }}>
      <header>
        <h2 id={id} className="truncate">{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}
