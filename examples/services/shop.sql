-- The database that order-status.json reads. Run it in a database of your own: psql "$SHOP_DATABASE_URL" -f examples/services/shop.sql
create table orders (
  number integer primary key,
  customer text not null,
  item text not null,
  status text not null,
  total numeric(10, 2) not null
);

insert into orders (number, customer, item, status, total) values
  (1001, 'ann@example.com', 'Kettle', 'delivered', 39.90),
  (1002, 'ann@example.com', 'Toaster', 'on its way', 54.00),
  (1003, 'bob@example.com', 'Lamp', 'cancelled', 19.50);
