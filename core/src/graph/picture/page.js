'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  const { steps, critical } = JSON.parse(byId('data').textContent);
  const neededBy = steps.map(() => []);
  steps.forEach((step, index) => step.inputs.forEach((input) => neededBy[input].push(index)));
  const place = new Map(critical.map((step, index) => [step, index + 1]));

  // Every text below is put in as text: nothing of a step is ever read as HTML.
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else if (value !== null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };

  // --- the drawing: what moves is one group ---

  const picture = byId('picture');
  const view = byId('view');
  const size = { width: Number(picture.getAttribute('width')), height: Number(picture.getAttribute('height')) };
  const at = { x: 0, y: 0, scale: 1 };
  const nodes = new Map();
  for (const element of picture.querySelectorAll('.node')) nodes.set(Number(element.dataset.node), element);
  const members = new Map();
  for (const element of picture.querySelectorAll('.member')) members.set(Number(element.dataset.step), element);
  const stepsOf = new Map([...nodes.keys()].map((node) => [node, []]));
  steps.forEach((step, index) => stepsOf.get(step.node).push(index));
  const lines = [...picture.querySelectorAll('.lines path')].map((element) => ({
    element,
    from: element.dataset.from === undefined ? null : Number(element.dataset.from),
    to: Number(element.dataset.to),
    column: Number(element.dataset.column),
  }));

  const show = () => {
    view.setAttribute('transform', `translate(${at.x} ${at.y}) scale(${at.scale})`);
    byId('zoom-level').textContent = `${Math.round(at.scale * 100)} %`;
  };
  const zoom = (factor, x = picture.clientWidth / 2, y = picture.clientHeight / 2) => {
    const scale = Math.min(4, Math.max(0.02, at.scale * factor));
    at.x = x - (x - at.x) * (scale / at.scale);
    at.y = y - (y - at.y) * (scale / at.scale);
    at.scale = scale;
    show();
  };
  const fit = () => {
    const [width, height] = [picture.clientWidth, picture.clientHeight];
    at.scale = Math.min(width / size.width, height / size.height, 1.25);
    at.x = (width - size.width * at.scale) / 2;
    at.y = (height - size.height * at.scale) / 2;
    show();
  };
  // What to go to once the drawing is seen again.
  let awaited = null;
  const centre = (element) => {
    if (picture.clientWidth === 0) {
      awaited = element;
      return;
    }
    const box = element.querySelector('.box');
    const middle = (position, extent) => Number(box.getAttribute(position)) + Number(box.getAttribute(extent)) / 2;
    at.scale = Math.max(at.scale, 0.8);
    at.x = picture.clientWidth / 2 - middle('x', 'width') * at.scale;
    at.y = picture.clientHeight / 2 - middle('y', 'height') * at.scale;
    show();
  };

  picture.addEventListener('wheel', (event) => {
    event.preventDefault();
    // Lines or pages instead of pixels, as some mice tell it.
    const unit = [1, 16, 400][event.deltaMode];
    const { left, top } = picture.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * unit * 0.0015), event.clientX - left, event.clientY - top);
  }, { passive: false });

  // A drag begins after a few pixels, so that a click stays one.
  let drag = null;
  picture.addEventListener('pointerdown', (event) => {
    if (event.button === 0) drag = { x: event.clientX, y: event.clientY, from: { ...at }, moved: false };
  });
  picture.addEventListener('pointermove', (event) => {
    if (!drag) return;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(x, y) < 4) return;
    if (!drag.moved) picture.setPointerCapture(event.pointerId);
    drag.moved = true;
    picture.classList.add('moving');
    [at.x, at.y] = [drag.from.x + x, drag.from.y + y];
    show();
  });
  const drop = () => {
    picture.classList.remove('moving');
    // The click that ends a drag comes after this.
    const ended = drag;
    setTimeout(() => { if (drag === ended) drag = null; });
  };
  picture.addEventListener('pointerup', drop);
  picture.addEventListener('pointercancel', drop);
  picture.addEventListener('click', (event) => {
    if (drag && drag.moved) return;
    const [member, node] = ['.member', '.node'].map((selector) => event.target.closest(selector));
    if (member) choose(Number(member.dataset.step));
    else if (node) chooseNode(Number(node.dataset.node));
    else close();
  });

  byId('zoom-in').addEventListener('click', () => zoom(1.3));
  byId('zoom-out').addEventListener('click', () => zoom(1 / 1.3));
  byId('zoom-fit').addEventListener('click', fit);

  // --- a step and its neighbours ---

  const details = byId('details');
  let chosen = null;

  const link = (index, what) => {
    const step = steps[index];
    return make('li', {}, make(
      'button',
      { type: 'button', class: 'step', 'data-step': index, 'aria-current': index === chosen, onclick: () => choose(index, true) },
      make('span', { class: `mark ${step.state}`, 'aria-hidden': 'true' }),
      make('span', { class: 'of' }, step.name),
      make('span', { class: 'what' }, what ?? step.stateWord),
    ));
  };
  const list = (title, indices) => indices.length === 0
    ? [make('h3', {}, `${title}: none`)]
    : [make('h3', {}, `${title} (${indices.length})`), make('ul', {}, ...indices.map((index) => link(index)))];
  const facts = (pairs) => make('dl', {}, ...pairs.flatMap(([term, ...values]) => [
    make('dt', {}, term), make('dd', { 'data-fact': term }, ...values),
  ]));
  const heading = (title) => make('header', {}, make('h2', {}, title),
    make('button', { type: 'button', id: 'close', 'aria-label': 'Close details', onclick: close }, '×'));

  const tellStep = (index) => {
    const step = steps[index];
    const path = (text) => make('span', { class: 'path' }, text);
    details.replaceChildren(
      heading(step.name),
      facts([
        ['Derivation', path(step.drv)],
        ['Kind', step.kind === 'fetch' ? 'download' : 'build'],
        ['Builder', `${step.builder} on ${step.system}`],
        ['State', make('span', { class: `mark ${step.state}`, 'aria-hidden': 'true' }), step.stateWord],
        ['Usual time', step.usual],
        ['Size', step.size ?? 'not in the store'],
        ...(place.has(index) ? [['Critical path', `number ${place.get(index)} of ${critical.length}`]] : []),
        ...step.outputs.map((output) => [`Output ${output.name}`, path(output.path ?? 'known once it is built')]),
      ]),
      ...list('Needs', step.inputs),
      ...list('Needed by', neededBy[index]),
    );
  };
  const tellMany = (node) => {
    const members = stepsOf.get(node);
    details.replaceChildren(
      heading(`${members.length} downloads`),
      ...list('Downloads', members),
      ...list('Needed by', neededBy[members[0]]),
    );
  };

  // A step's lines are its own and, of a trunk, the pieces beyond its column.
  const lightUp = (node) => {
    const near = new Set([node]);
    const column = Number(nodes.get(node).dataset.column);
    for (const { from, to } of lines) {
      if (from === node) near.add(to);
      if (to === node && from !== null) near.add(from);
    }
    const inputs = new Set(lines.filter(({ from }) => from === node).map(({ to }) => to));
    for (const { element, from, to, column: begin } of lines) {
      const isNear = to === node || (inputs.has(to) && (from === node || (from === null && begin > column)));
      element.classList.toggle('near', isNear);
      // Above the others.
      if (isNear) element.parentNode.append(element);
    }
    for (const [other, element] of nodes) {
      element.classList.toggle('near', near.has(other));
      element.classList.toggle('chosen', other === node);
      element.setAttribute('tabindex', other === node ? '0' : '-1');
    }
    picture.classList.add('choosing');
  };
  const settle = (node, moves) => {
    lightUp(node);
    for (const [step, element] of members) element.classList.toggle('chosen', step === chosen);
    if (moves) centre(members.get(chosen) ?? nodes.get(node));
    details.hidden = false;
    // Announced, and in sight above what is long.
    document.querySelector('aside').scrollTop = 0;
    for (const element of document.querySelectorAll('.step')) {
      element.setAttribute('aria-current', Number(element.dataset.step) === chosen);
    }
    for (const row of rows()) row.classList.toggle('chosen', Number(row.dataset.step) === chosen);
  };
  const choose = (index, moves = false) => {
    chosen = index;
    tellStep(index);
    settle(steps[index].node, moves);
  };
  const chooseNode = (node, moves = false) => {
    const members = stepsOf.get(node);
    if (members.length === 1) return choose(members[0], moves);
    chosen = null;
    tellMany(node);
    settle(node, moves);
  };
  function close() {
    chosen = awaited = null;
    details.hidden = true;
    details.replaceChildren();
    picture.classList.remove('choosing');
    for (const element of picture.querySelectorAll('.near, .chosen')) element.classList.remove('near', 'chosen');
    for (const row of rows()) row.classList.remove('chosen');
  }

  byId('critical').querySelector('ol').append(...critical.map((index) => {
    const step = steps[index];
    return link(index, step.usualMs === null ? `${step.counted} assumed` : step.usual);
  }));

  // Nodes are one stop of the Tab key; arrows go from one to the next.
  for (const [node, element] of nodes) {
    element.setAttribute('role', 'button');
    element.setAttribute('tabindex', '-1');
    element.setAttribute('aria-label', element.querySelector('title').textContent);
    element.addEventListener('keydown', (event) => nodeKey(event, node));
  }
  const first = nodes.get(steps[0].node);
  first.setAttribute('tabindex', '0');
  const top = (node) => Number(nodes.get(node).querySelector('.box').getAttribute('y'));
  const nextTo = (node, key) => {
    const { column } = nodes.get(node).dataset;
    const legs = lines.filter(({ from }) => from !== null);
    let candidates;
    if (key === 'ArrowRight') candidates = legs.filter(({ from }) => from === node).map(({ to }) => to);
    else if (key === 'ArrowLeft') candidates = legs.filter(({ to }) => to === node).map(({ from }) => from);
    else {
      const sign = key === 'ArrowDown' ? 1 : -1;
      const beyond = ([other, element]) => element.dataset.column === column && (top(other) - top(node)) * sign > 0;
      candidates = [...nodes].filter(beyond).map(([other]) => other);
    }
    const distance = (other) => Math.abs(top(other) - top(node));
    return candidates.sort((one, other) => distance(one) - distance(other))[0];
  };
  function nodeKey(event, node) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter' || event.key === ' ') chooseNode(node);
    else if (event.key.startsWith('Arrow')) {
      const next = nextTo(node, event.key);
      if (next !== undefined) {
        chooseNode(next, true);
        nodes.get(next).focus({ preventScroll: true });
      }
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // --- finding ---

  const query = byId('query');
  let hits = [];
  let current = -1;

  const find = () => {
    const text = query.value.trim().toLowerCase();
    const matches = (step) => step.name.toLowerCase().includes(text) || step.drv.toLowerCase().includes(text);
    hits = text === '' ? [] : steps.flatMap((step, index) => (matches(step) ? [index] : []));
    current = -1;
    const hitSteps = new Set(hits);
    const hitNodes = new Set(hits.map((index) => steps[index].node));
    for (const [node, element] of nodes) element.classList.toggle('hit', hitNodes.has(node));
    for (const [step, element] of members) element.classList.toggle('hit', hitSteps.has(step));
    picture.classList.toggle('searching', text !== '');
    if (text !== '') close();
    byId('hits').hidden = hits.length === 0;
    byId('hits').querySelector('ul').replaceChildren(...hits.map((index) => link(index)));
    sayCount();
    if (tableIsFilled) fillTable();
  };
  const sayCount = () => {
    const text = query.value.trim();
    const of = current < 0 ? `${hits.length} found` : `${current + 1} of ${hits.length}`;
    byId('hit-count').textContent = text === '' ? '' : of;
  };
  const nextHit = (by) => {
    if (hits.length === 0) return;
    current = current < 0 ? (by > 0 ? 0 : hits.length - 1) : (current + by + hits.length) % hits.length;
    choose(hits[current], true);
    byId('hits').querySelector(`[data-step="${hits[current]}"]`).scrollIntoView({ block: 'nearest' });
    document.querySelector('aside').scrollTop = 0;
    sayCount();
  };
  query.addEventListener('input', find);
  byId('search').addEventListener('submit', (event) => event.preventDefault());
  query.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') nextHit(event.shiftKey ? -1 : 1);
    else if (event.key === 'Escape') {
      query.value = '';
      find();
      query.blur();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  // --- the table ---

  const body = byId('table').tBodies[0];
  const rows = () => body.rows;
  const columns = [
    { title: 'Step', key: (index) => steps[index].name },
    { title: 'Kind', key: (index) => steps[index].kind, cell: (index) => (steps[index].kind === 'fetch' ? 'download' : 'build') },
    { title: 'State', key: (index) => steps[index].stateWord },
    { title: 'Usual time', number: true, key: (index) => steps[index].usualMs, cell: (index) => (steps[index].usualMs === null ? '' : steps[index].usual) },
    { title: 'Size', number: true, key: (index) => steps[index].sizeBytes, cell: (index) => steps[index].size ?? '' },
    { title: 'Needs', number: true, key: (index) => steps[index].inputs.length },
    { title: 'Needed by', number: true, key: (index) => neededBy[index].length },
  ];
  let sorted = { column: columns[3], descending: true };
  let tableIsFilled = false;

  const compare = (one, other) => {
    const [a, b] = [sorted.column.key(one), sorted.column.key(other)];
    // What is not known stands last, whichever way it goes.
    if (a === null || b === null) return (a === null) - (b === null) || one - other;
    const order = sorted.column.number ? a - b : (a < b ? -1 : Number(a > b));
    return (sorted.descending ? -order : order) || one - other;
  };
  const fillTable = () => {
    tableIsFilled = true;
    const shown = hits.length > 0 || query.value.trim() !== '' ? [...hits] : steps.map((_, index) => index);
    body.replaceChildren(...shown.sort(compare).map((index) => {
      const cells = columns.map((column) => {
        const text = String((column.cell ?? column.key)(index));
        if (column !== columns[0]) return make('td', { class: column.number ? 'number' : null }, text);
        const mark = make('span', { class: `mark ${steps[index].state}`, 'aria-hidden': 'true' });
        return make('td', {}, mark, make('button', { type: 'button' }, text));
      });
      const classes = `${place.has(index) ? 'critical' : ''} ${index === chosen ? 'chosen' : ''}`;
      return make('tr', { 'data-step': index, class: classes, onclick: () => choose(index, true) }, ...cells);
    }));
    [...byId('table').tHead.rows[0].cells].forEach((cell, index) => {
      const direction = sorted.descending ? 'descending' : 'ascending';
      cell.setAttribute('aria-sort', columns[index] === sorted.column ? direction : 'none');
    });
  };
  byId('table').tHead.rows[0].append(...columns.map((column) => make(
    'th',
    { scope: 'col', class: column.number ? 'number' : null },
    make('button', {
      type: 'button',
      onclick: () => {
        // Numbers first from the largest down, words from A to Z.
        const descending = sorted.column === column ? !sorted.descending : Boolean(column.number);
        sorted = { column, descending };
        fillTable();
      },
    }, column.title),
  )));

  const tabs = [
    { tab: byId('tab-picture'), panel: byId('picture-panel') },
    { tab: byId('tab-table'), panel: byId('table-panel') },
  ];
  const open = (wanted) => {
    for (const { tab, panel } of tabs) {
      tab.setAttribute('aria-selected', tab === wanted);
      tab.setAttribute('tabindex', tab === wanted ? '0' : '-1');
      panel.hidden = tab !== wanted;
    }
    if (wanted === tabs[1].tab && !tableIsFilled) fillTable();
    if (wanted === tabs[0].tab && awaited) {
      centre(awaited);
      awaited = null;
    }
  };
  tabs.forEach(({ tab }, index) => {
    tab.addEventListener('click', () => open(tab));
    tab.addEventListener('keydown', (event) => {
      if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
      const other = tabs[1 - index].tab;
      open(other);
      other.focus();
      event.preventDefault();
      event.stopPropagation();
    });
  });

  // --- keys that work everywhere but where one types ---

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === query) return;
    const onPicture = event.target === picture || event.target === document.body;
    const move = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (event.key === '+' || event.key === '=') zoom(1.3);
    else if (event.key === '-') zoom(1 / 1.3);
    else if (event.key === '0') fit();
    else if (event.key === '/') query.focus();
    else if (event.key === 'Escape') close();
    else if (move && onPicture) {
      at.x += move[0];
      at.y += move[1];
      show();
    } else return;
    event.preventDefault();
  });

  let hasFitted = false;
  new ResizeObserver(() => {
    // What is hidden has no size to fit into.
    if (!hasFitted && picture.clientWidth > 0) fit();
    hasFitted ||= picture.clientWidth > 0;
  }).observe(picture);
})();
