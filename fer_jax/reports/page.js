// Sortable tables: a click on a column's title sorts by its values, another click turns it round.
for (const table of document.querySelectorAll('table[data-sortable]')) {
  const titles = [...table.tHead.rows[0].cells];
  titles.forEach((title, column) => {
    title.querySelector('button').addEventListener('click', () => {
      const up = title.getAttribute('aria-sort') !== 'ascending';
      titles.forEach((other) => other.removeAttribute('aria-sort'));
      title.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const body = table.tBodies[0];
      const value = (row) => row.cells[column].dataset.value;
      const compare = (a, b) => {
        const x = value(a), y = value(b);
        if (x === '' || y === '') return (x === '') - (y === '');  // no number: always last
        const order = title.dataset.kind === 'text'
          ? x.localeCompare(y, undefined, { numeric: true }) : Number(x) - Number(y);
        return up ? order : -order;
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}
// What is folded on a screen is open on paper, but for tables of pages: their CSV is the place.
addEventListener('beforeprint', () => {
  for (const fold of document.querySelectorAll('details')) {
    if (!fold.querySelector('.tall')) fold.open = true;
  }
});
