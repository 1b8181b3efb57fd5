import { BarChart } from 'echarts/charts';
import { AriaComponent, GridComponent, TooltipComponent } from 'echarts/components';
import { init, use as register, type EChartsType } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { UsageToday } from '../../lib/api/types';
import { approximate } from '../../lib/decimal';
import { formatMoney, formatQuantity, unitText } from '../../lib/format';
import { clockTime } from '../../lib/time';

register([BarChart, GridComponent, TooltipComponent, AriaComponent, CanvasRenderer]);

/** Colours are read from the style sheet when drawn, so that the chart follows the scheme. */
function colours(box: HTMLElement) {
  const style = getComputedStyle(box);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return { bar: of('--chart-bar'), text: of('--text-soft'), line: of('--line'), ground: of('--raised'), strong: of('--text') };
}

function optionsOf(day: UsageToday, box: HTMLElement, summary: string) {
  const c = colours(box);
  return {
    animation: false,
    aria: { enabled: true, label: { description: summary } },
    grid: { left: 8, right: 8, top: 28, bottom: 4, containLabel: true },
    // Drawn on the canvas of the chart: markup with style attributes would be refused by the page's security policy.
    tooltip: {
      trigger: 'axis',
      renderMode: 'richText',
      axisPointer: { type: 'shadow' },
      backgroundColor: c.ground,
      borderColor: c.line,
      textStyle: { color: c.strong, fontSize: 13 },
      formatter: (items: { dataIndex: number }[]) => {
        const hour = day.hours[items[0]?.dataIndex ?? 0];
        return hour
          ? `${clockTime(hour.from)}–${clockTime(hour.to)}\n${formatQuantity(hour.quantity, day.unit)}\n${formatMoney(hour.amount, day.currency)}`
          : '';
      },
    },
    xAxis: {
      type: 'category',
      data: day.hours.map((hour) => clockTime(hour.from)),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: c.line } },
      axisLabel: { color: c.text, hideOverlap: true },
    },
    yAxis: {
      type: 'value',
      name: unitText(day.unit),
      nameTextStyle: { color: c.text, align: 'right' },
      splitLine: { lineStyle: { color: c.line } },
      axisLabel: { color: c.text },
    },
    series: [{ type: 'bar', data: day.hours.map((hour) => approximate(hour.quantity)), itemStyle: { color: c.bar, borderRadius: [2, 2, 0, 0] }, barMaxWidth: 26 }],
  };
}

export default function HourChart({ day }: { day: UsageToday }) {
  const { t, i18n } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  useEffect(() => {
    if (!box.current) return undefined;
    const made = init(box.current);
    chart.current = made;
    const sized = new ResizeObserver(() => made.resize());
    sized.observe(box.current);
    return () => {
      sized.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    const draw = () => {
      if (box.current) chart.current?.setOption(optionsOf(day, box.current, t('today.summary', { usage: formatQuantity(day.quantity, day.unit) })), true);
    };
    draw();
    const recoloured = new MutationObserver(draw);
    recoloured.observe(document.documentElement, { attributes: true, attributeFilter: ['data-scheme'] });
    return () => recoloured.disconnect();
  }, [day, t, i18n.language]);
  return <div className="hour-chart" ref={box} role="img" aria-label={t('today.summary', { usage: formatQuantity(day.quantity, day.unit) })} data-testid="hour-chart" />;
}
