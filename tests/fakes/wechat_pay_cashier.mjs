// The page on which a person (or a test's browser) presses Pay, and the list of what can be paid.
const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const yuan = (fen) => `¥${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, '0')}`;

const frame = (contents) => `<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>测试收银台 · Test cashier</title>
<style>
body { margin: 0; font: 16px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; background: #ededed; color: #191919; }
main { max-width: 26rem; margin: 0 auto; padding: 2rem 1rem; text-align: center; }
.note { font-size: 0.8rem; color: #666; }
.amount { font-size: 2.6rem; font-weight: 600; margin: 1rem 0; }
.card { background: #fff; border-radius: 12px; padding: 1.5rem; }
button { width: 100%; padding: 0.9rem; border: 0; border-radius: 8px; background: #07803f; color: #fff; font-size: 1.1rem; cursor: pointer; }
button:focus-visible, a:focus-visible { outline: 3px solid #1a73e8; outline-offset: 2px; }
ul { list-style: none; padding: 0; text-align: left; } li { padding: 0.6rem 0; border-bottom: 1px solid #eee; }
a { color: #0b57a4; }
</style></head><body><main>${contents}<p class="note">测试用，不是微信支付 · For trying out; this is not WeChat Pay.</p></main></body></html>`;

const STATES = { NOTPAY: '待支付 · unpaid', SUCCESS: '已支付 · paid', REFUND: '已退款 · refunded', CLOSED: '已关闭 · closed' };

export function cashierPage({ order, token, state, back, message }) {
  if (!order) return frame(`<div class="card"><h1>${escape(message)}</h1></div>`);
  const target = `/cashier/${encodeURIComponent(token)}/pay${back ? `?redirect_url=${encodeURIComponent(back)}` : ''}`;
  const action =
    state === 'NOTPAY'
      ? `<form method="post" action="${escape(target)}"><button id="pay">支付 · Pay</button></form>`
      : `<p id="state" data-state="${escape(state)}">${escape(STATES[state] ?? state)}</p>`;
  return frame(`<div class="card"><h1>${escape(order.description)}</h1><p class="amount">${yuan(order.amount.total)}</p>
<p class="note">${escape(order.out_trade_no)}</p>${action}</div>`);
}

export function cashierList(orders) {
  const rows = orders.map(
    ({ order, state }) =>
      `<li><a href="/cashier/${encodeURIComponent(order.token)}" data-number="${escape(order.out_trade_no)}">${escape(order.description)}</a> ${yuan(order.amount.total)} <span class="note">${escape(STATES[state] ?? state)}</span></li>`,
  );
  return frame(`<div class="card"><h1>订单 · Orders</h1><ul>${rows.reverse().join('') || '<li>没有订单 · none</li>'}</ul></div>`);
}
