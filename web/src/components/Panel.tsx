import type { ReactNode } from 'react';

/** A titled part of a screen. */
export function Panel({ title, extra, children, className = '' }: { title: ReactNode; extra?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={`panel ${className}`}>
      <header className="panel-head">
        <h2>{title}</h2>
        {extra ? <div className="panel-extra">{extra}</div> : null}
      </header>
      {children}
    </section>
  );
}
